// Listens on PORT and on ADMIN_PORT; each says on which. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

for (const name of ['PORT', 'ADMIN_PORT']) {
  http
    .createServer((request, response) => response.end(JSON.stringify({ ...whoami(), server: name })))
    .listen(Number(process.env[name]), process.env.HOST);
}
