// Does what PM2's documentation tells apps to do: says `ready` READY_AFTER ms after it listens, sends a
// `process:msg`, ends by the message `shutdown` or by SIGINT. Says on stdout which of the two came. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

const send = (message) => process.send?.(message);
const received = [];

function leave(why) {
  console.log(`leaving: ${why}`);
  server.close(() => process.exit(0));
}

const server = http.createServer((request, response) => {
  if (request.url === '/say') send({ type: 'process:msg', data: { said: 'hello', pid: process.pid } });
  response.end(JSON.stringify({ ...whoami(), received }));
});
server.listen(Number(process.env.PORT), process.env.HOST, () => {
  setTimeout(() => send('ready'), Number(process.env.READY_AFTER ?? 100));
});
process.on('message', (message) => {
  received.push(message);
  if (message === 'shutdown') leave('shutdown message');
});
process.on('SIGINT', () => leave('SIGINT'));
