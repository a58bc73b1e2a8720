// http-graceful-shutdown, which exits by itself.
'use strict';

const http = require('node:http');
const gracefulShutdown = require('http-graceful-shutdown');
const { answer, save } = require('./ending');

const server = http.createServer(answer).listen(Number(process.env.PORT));
gracefulShutdown(server, { signals: 'SIGTERM', timeout: 5000, onShutdown: save });
