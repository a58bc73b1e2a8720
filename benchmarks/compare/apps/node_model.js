// Five bytes after 8.33 ms in which nothing else runs: 120 requests a second, one at a time. Runs in a worker.
'use strict';

const http = require('node:http');

const BLOCKING_MS = 8.33;
const never = new Int32Array(new SharedArrayBuffer(4));

http
  .createServer((request, response) => {
    Atomics.wait(never, 0, 0, BLOCKING_MS);
    response.writeHead(200, { 'Content-Length': 5 }).end('hello');
  })
  .listen(Number(process.env.PORT), process.env.HOST);
