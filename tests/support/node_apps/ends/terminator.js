// http-terminator on a signal.
'use strict';

const http = require('node:http');
const { createHttpTerminator } = require('http-terminator');
const { answer, exitIfHeld, save } = require('./ending');

const server = http.createServer(answer).listen(Number(process.env.PORT));
const terminator = createHttpTerminator({ server });
process.on('SIGTERM', () => terminator.terminate().then(save).then(exitIfHeld));
