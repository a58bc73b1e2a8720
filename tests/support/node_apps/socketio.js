// A socket.io app: says who it is and echoes, by WebSocket and by long polling; plain requests too. Runs in a worker.
'use strict';

const http = require('node:http');
const { Server } = require('socket.io');
const whoami = require('./whoami');

const server = http.createServer((request, response) => response.end(JSON.stringify(whoami())));
new Server(server).on('connection', (socket) => {
  socket.emit('whoami', whoami());
  socket.on('echo', (value, reply) => reply(value));
});
server.listen(Number(process.env.PORT), process.env.HOST);
