// Offers actions by PM2's own library, as its page shows it. Runs in a worker.
'use strict';

const io = require('@pm2/io');
const http = require('node:http');
const whoami = require('./whoami');

io.action('hello', (reply) => reply({ pid: process.pid }));
io.action('echo', (param, reply) => reply(`got ${param}`));

http.createServer((_, response) => response.end(JSON.stringify(whoami()))).listen(process.env.PORT, process.env.HOST);
