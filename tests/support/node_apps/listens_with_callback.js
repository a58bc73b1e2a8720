// Calls listen(port, host, callback), as most apps do. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

http
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
