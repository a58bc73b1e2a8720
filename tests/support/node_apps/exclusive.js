// Binds by itself: `exclusive` never asks a cluster's primary, so only one worker can have the port. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

http
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen({ port: Number(process.env.PORT), host: process.env.HOST, exclusive: true });
