// http.js on PORT, or on any free port when somebody answers on that one, as `serve` does. Runs in a worker.
'use strict';

const net = require('node:net');

const probe = net.connect(Number(process.env.PORT), '127.0.0.1');
probe.on('connect', () => {
  probe.destroy();
  process.env.PORT = '0';
  require('./http');
});
probe.on('error', () => require('./http'));
