// Five bytes: as little as an HTTP app of Node can do. Runs in a worker.
'use strict';

const http = require('node:http');

http
  .createServer((request, response) => response.writeHead(200, { 'Content-Length': 5 }).end('hello'))
  .listen(Number(process.env.PORT), process.env.HOST);
