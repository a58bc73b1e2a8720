// `GET /leave` makes the worker disconnect of its own accord, as an app does that wants to be replaced. Runs in a worker.
'use strict';

const cluster = require('node:cluster');
const http = require('node:http');
const whoami = require('./whoami');

http
  .createServer((request, response) => {
    response.end(JSON.stringify({ ...whoami(), isWorker: cluster.isWorker }));
    if (request.url === '/leave') cluster.worker?.disconnect();
  })
  .listen(Number(process.env.PORT), process.env.HOST);
