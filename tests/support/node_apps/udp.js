// Answers each datagram with who it is; listens for HTTP on PORT too, UDP on UDP_PORT. Runs in a worker.
'use strict';

const dgram = require('node:dgram');
const http = require('node:http');
const whoami = require('./whoami');

const socket = dgram.createSocket('udp4');
socket.on('message', (message, { port, address }) => {
  socket.send(JSON.stringify({ ...whoami(), message: String(message) }), port, address);
});
socket.bind(Number(process.env.UDP_PORT), process.env.HOST);

http
  .createServer((request, response) => response.end(JSON.stringify({ ...whoami(), udp: socket.address().port })))
  .listen(Number(process.env.PORT), process.env.HOST);
