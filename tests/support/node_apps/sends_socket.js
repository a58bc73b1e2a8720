// On `GET /send` it sends its parent a message with that very connection, which then is the parent's to answer or
// to drop; other requests are answered as ever. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

http
  .createServer((request, response) => {
    if (request.url === '/send') process.send?.({ here: 'is a socket', pid: process.pid }, request.socket);
    else response.end(JSON.stringify(whoami()));
  })
  .listen(Number(process.env.PORT), process.env.HOST);
