// Answers datagrams on UDP_PORT, which it gives as a text as environment variables are. Runs in a worker.
'use strict';

const dgram = require('node:dgram');
const whoami = require('./whoami');

const socket = dgram.createSocket('udp4');
socket.on('message', (message, { port, address }) => socket.send(JSON.stringify(whoami()), port, address));
socket.bind(process.env.UDP_PORT, process.env.HOST);
