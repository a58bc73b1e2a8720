// Listens on the descriptor LISTEN_FD: under a cluster it is the primary's, run alone its own. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

http
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen({ fd: Number(process.env.LISTEN_FD) });
