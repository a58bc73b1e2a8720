// Beside its own server it tries to listen on TAKEN_PORT, again as soon as that has failed; tells how often it has.
// Runs in a worker.
'use strict';

const http = require('node:http');

let failures = 0;

http
  .createServer((request, response) => response.end(JSON.stringify({ pid: process.pid, failures })))
  .listen(Number(process.env.PORT), () => retry());

function retry() {
  const server = http.createServer();
  server.once('error', () => {
    failures += 1;
    setImmediate(retry);
  });
  server.listen(Number(process.env.TAKEN_PORT), '127.0.0.1');
}
