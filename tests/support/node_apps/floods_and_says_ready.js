// Listens, sends far more messages than anybody reads, then says `ready`. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

http
  .createServer((request, response) => response.end(JSON.stringify(whoami())))
  .listen(Number(process.env.PORT), () => {
    for (let left = 5000; left > 0; left -= 1) process.send({ noise: left });
    process.send('ready');
  });
