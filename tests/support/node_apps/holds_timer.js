// Holds a timer for ever, as apps with caches and database pools do (Next.js for one): after a disconnect the process
// goes on although its server is closed, until a signal ends it. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

setInterval(() => {}, 1000);
http
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen(Number(process.env.PORT), process.env.HOST);
