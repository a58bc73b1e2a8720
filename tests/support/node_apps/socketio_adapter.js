// socket.io over several workers by its cluster adapter: what one client says all are told. Runs in a worker.
'use strict';

const http = require('node:http');
const { createAdapter } = require('@socket.io/cluster-adapter');
const { Server } = require('socket.io');
const whoami = require('./whoami');

const server = http.createServer((request, response) => response.end(JSON.stringify(whoami())));
const io = new Server(server, { adapter: createAdapter() });
io.on('connection', (socket) => {
  socket.emit('whoami', whoami());
  socket.on('tell', (text) => io.emit('told', text));
  socket.on('count', async (reply) => reply((await io.fetchSockets()).length));
});
server.listen(Number(process.env.PORT), process.env.HOST);
