// Counts by prom-client: each request counts.
'use strict';

const http = require('http');
const client = require('prom-client');

const added = new client.Counter({ name: 'cart_added_total', help: 'Things put into carts.', labelNames: ['kind'] });
const seconds = new client.Histogram({ name: 'cart_seconds', help: 'How long it took.', buckets: [0.1, 1] });
const gauge = new client.Gauge({ name: 'cart_open', help: 'Open carts.' });

http.createServer((request, response) => {
  added.inc({ kind: 'shoe' });
  seconds.observe(0.5);
  gauge.set(2);
  response.end(String(process.pid));
}).listen(process.env.PORT || 0);
