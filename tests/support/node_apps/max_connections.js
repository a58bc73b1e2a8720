// A server with Node's own bound: it refuses more than MOST connections at a time. Answers take 5 ms. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

const server = http.createServer((request, response) => {
  setTimeout(() => response.end(JSON.stringify(whoami())), 5);
});
server.maxConnections = Number(process.env.MOST);
server.listen(Number(process.env.PORT), process.env.HOST);
