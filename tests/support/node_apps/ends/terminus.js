// @godaddy/terminus; it ends by sending itself the signal again.
'use strict';

const http = require('node:http');
const { createTerminus } = require('@godaddy/terminus');
const { answer, save } = require('./ending');

const server = http.createServer(answer);
createTerminus(server, { signal: 'SIGTERM', onSignal: save });
server.listen(Number(process.env.PORT));
