// Worker 0 also listens on ADMIN_PORT, as apps do that have one worker show metrics or run jobs. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

const answer = (request, response) => response.end(JSON.stringify(whoami()));
const ports = [process.env.PORT, ...(process.env.NODE_APP_INSTANCE === '0' ? [process.env.ADMIN_PORT] : [])];
for (const port of ports) http.createServer(answer).listen(Number(port), process.env.HOST);
