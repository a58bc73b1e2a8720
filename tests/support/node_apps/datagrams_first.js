// Binds a UDP socket at once and serves HTTP a little later, unless the file BROKEN is there. Runs in a worker.
'use strict';

const dgram = require('node:dgram');
const fs = require('node:fs');
const http = require('node:http');

const LATER_MS = 300;

dgram.createSocket('udp4').bind(0, '127.0.0.1');
setTimeout(() => {
  if (fs.existsSync(process.env.BROKEN)) return;
  http.createServer((request, response) => response.end('"served"')).listen(Number(process.env.PORT), process.env.HOST);
}, LATER_MS);
