// plain.js that goes on to send messages when it has closed its server. Runs in a worker.
'use strict';

const http = require('node:http');
const { answer, save } = require('./ending');

const server = http.createServer(answer).listen(Number(process.env.PORT));
process.on('fastlb:draining', () => console.log(`draining ${process.pid}`));
process.on('SIGTERM', () => server.close(async () => {
  await save();
  process.send({ type: 'process:msg', data: 'saved' });
}));
