// `GET /relisten` closes the server and listens again on the same port; `listens` counts. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

let listens = 0;

function listen() {
  server.listen(Number(process.env.PORT), process.env.HOST, () => { listens += 1; });
}

const server = http.createServer((request, response) => {
  response.setHeader('connection', 'close');
  response.end(JSON.stringify({ ...whoami(), listens }));
  if (request.url === '/relisten') server.close(listen);
});
listen();
