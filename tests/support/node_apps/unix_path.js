// Listens on the unix socket SOCKET_PATH, which all may write to. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

http
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen({ path: process.env.SOCKET_PATH, readableAll: true, writableAll: true });
