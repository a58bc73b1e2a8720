// Listens, and throws 50 ms later: a release that looks good for a moment. Runs in a worker.
'use strict';

const http = require('node:http');

http.createServer((request, response) => response.end()).listen(Number(process.env.PORT), process.env.HOST, () => {
  setTimeout(() => { throw new Error('this app does not live long'); }, 50);
});
