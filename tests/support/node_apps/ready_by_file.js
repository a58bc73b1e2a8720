// Listens at once, says `ready` as soon as the file READY_FILE exists; tells whether it has. Runs in a worker.
'use strict';

const fs = require('node:fs');
const http = require('node:http');

let hasSaidReady = false;

const server = http.createServer((request, response) => {
  response.end(JSON.stringify({ pid: process.pid, hasSaidReady }));
});
server.listen(Number(process.env.PORT), () => console.log('listening'));
const timer = setInterval(() => {
  if (!fs.existsSync(process.env.READY_FILE)) return;
  clearInterval(timer);
  hasSaidReady = true;
  process.send('ready');
}, 5);
