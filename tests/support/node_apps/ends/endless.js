// A server whose clients never go by themselves (as on websockets): on a signal it says goodbye to them and closes.
// Runs in a worker.
'use strict';

const net = require('node:net');
const { exitIfHeld, save } = require('./ending');

const clients = new Set();
const server = net.createServer((client) => {
  clients.add(client);
  client.on('close', () => clients.delete(client));
  client.write('hello');
}).listen(Number(process.env.PORT));
process.on('SIGTERM', () => {
  for (const client of clients) client.end('goodbye');
  server.close((error) => {
    if (error) process.exit(1);
    save().then(exitIfHeld);
  });
});
