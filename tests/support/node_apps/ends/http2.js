// HTTP/2 without TLS, by streams; closed on a signal. Runs in a worker.
'use strict';

const http2 = require('node:http2');
const { save } = require('./ending');

const server = http2.createServer();
server.on('stream', (stream, headers) => {
  console.log(`begun ${process.pid}`);
  setTimeout(() => {
    stream.respond({ ':status': 200 });
    stream.end();
  }, Number(headers[':path'].slice(1)));
});
server.listen(Number(process.env.PORT));
process.on('SIGTERM', () => server.close(save));
