// `GET /ask` asks the primary of its cluster for servers that cannot be, past Node. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

const deep = `${'['.repeat(300)}${']'.repeat(300)}`;
const queries = [
  { address: 'no.such.host.invalid', port: 3001, addressType: 4 },
  { address: '127.0.0.1\0', port: 3001, addressType: 4 },
  { address: '127.0.0.1', port: 99999, addressType: 4 },
  { address: '127.0.0.1', port: -7, addressType: 4 },
  { address: 'a\0b', port: 3001, addressType: 'udp4' },
  { address: '127.0.0.1', port: null, addressType: 4 },
  { address: '', port: -1, addressType: -1 },
  { address: `${process.env.DIRECTORY}/a\0b`, port: -1, addressType: -1 },
  { address: `${process.env.DIRECTORY}/${'x'.repeat(300)}`, port: -1, addressType: -1 },
  { address: `${process.env.DIRECTORY}/none/a.sock`, port: -1, addressType: -1 },
  { fd: 0 }, { fd: 3 }, { fd: -1 }, { fd: 1e9 },
  { address: { deep }, port: [1] }, { address: 7, port: 'http' }, {},
];

function ask() {
  for (const [number, query] of queries.entries()) {
    process.send({ cmd: 'NODE_CLUSTER', act: 'queryServer', index: 0, seq: 10000 + number, ...query });
  }
  process.send({ cmd: 'NODE_CLUSTER', act: 'queryServer', index: -1, seq: 2 ** 60, fd: 5, data: deep });
  process.send({ cmd: 'NODE_CLUSTER', act: 'exitedAfterDisconnect', seq: 'never' });
  process.send({ cmd: 'NODE_CLUSTER', act: 'listening', port: 1 });
}

http
  .createServer((request, response) => {
    if (request.url === '/ask') ask();
    response.end(JSON.stringify(whoami()));
  })
  .listen(Number(process.env.PORT), process.env.HOST);
