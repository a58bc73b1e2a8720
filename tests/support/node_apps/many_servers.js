// Opens and closes SERVERS servers one after the other, then says how many it had. Runs in a worker.
'use strict';

const http = require('node:http');
const net = require('node:net');

const wanted = Number(process.env.SERVERS);
const failures = [];
let opened = 0;

function openNext() {
  if (opened + failures.length === wanted) return;
  const server = net.createServer();
  server.on('error', (error) => {
    failures.push(error.code);
    openNext();
  });
  server.listen(0, process.env.HOST, () => {
    opened += 1;
    server.close(openNext);
  });
}

http
  .createServer((request, response) => response.end(JSON.stringify({ opened, failures })))
  .listen(Number(process.env.PORT), process.env.HOST, openNext);
