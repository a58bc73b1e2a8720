// An app that wants to be told by PM2's message, and that would do the same on a signal. Runs in a worker.
'use strict';

const http = require('node:http');
const { answer, save } = require('./ending');

const server = http.createServer(answer).listen(Number(process.env.PORT));
const end = () => server.close((error) => {
  if (error) process.exit(1);
  save();
});
process.on('message', (message) => {
  if (message === 'shutdown') setTimeout(end, 50);
});
process.on('SIGTERM', end);
