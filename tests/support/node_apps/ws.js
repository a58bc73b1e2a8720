// A WebSocket app: says who it is, then echoes; plain requests are answered too. Runs in a worker.
'use strict';

const http = require('node:http');
const { WebSocketServer } = require('ws');
const whoami = require('./whoami');

const server = http.createServer((request, response) => response.end(JSON.stringify(whoami())));
new WebSocketServer({ server }).on('connection', (socket) => {
  socket.send(JSON.stringify(whoami()));
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(Number(process.env.PORT), process.env.HOST);
