// Five bytes: as little as an HTTP app of Node can do; /block holds the event loop for 50 ms before. Runs in a worker.
'use strict';

const http = require('node:http');

const BLOCKING_MS = 50;
const sleeping = new Int32Array(new SharedArrayBuffer(4));

function serve(request, response) {
  if (request.url === '/block') Atomics.wait(sleeping, 0, 0, BLOCKING_MS);
  response.writeHead(200, { 'Content-Length': 5 }).end('hello');
}

http
  .createServer(serve)
  .listen(Number(process.env.PORT), process.env.HOST);
