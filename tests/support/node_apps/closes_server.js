// `GET /close` closes the server that listens on PORT; the one on ADMIN_PORT goes on. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

const server = http.createServer((request, response) => {
  response.setHeader('connection', 'close');
  response.end(JSON.stringify(whoami()));
  if (request.url === '/close') server.close();
});
server.listen(Number(process.env.PORT), process.env.HOST);
http
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen(Number(process.env.ADMIN_PORT), process.env.HOST);
