// Does not end when it is told to: ignores SIGTERM and SIGINT and the end of its channel, holds a timer. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

for (const name of ['SIGTERM', 'SIGINT', 'disconnect']) process.on(name, () => {});
setInterval(() => {}, 1000);
http
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen(Number(process.env.PORT), process.env.HOST);
