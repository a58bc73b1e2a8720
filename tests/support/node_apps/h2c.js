// HTTP/2 without TLS. Runs in a worker.
'use strict';

const http2 = require('node:http2');
const whoami = require('./whoami');

http2
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen(Number(process.env.PORT), process.env.HOST);
