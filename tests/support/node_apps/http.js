// A plain HTTP app that shows what happens to it. Runs in a worker; the path says what to do:
//
//   /                 {"pid", "NODE_APP_INSTANCE", "served"}     /slow?ms=500    the same, after a timer
//   /plain            five bytes, nothing written to the ledger  /block?ms=500   the same; nothing else runs meanwhile
//   /echo             the body that was sent                     /exit?code=3    process.exit
//   /big?bytes=1000   so many bytes                              /crash          throws outside of any handler
//   /remote           the client's address                       /env?name=HOME  a variable, null when it is not set
//   /address          what server.address() says                 /print?text=x   a line to stdout and to stderr
//   /until?file=x    the same as /, once the file exists
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const { noteRequest } = require('./ledger');
const whoami = require('./whoami');

const DEFAULT_BYTES = 1 << 20;
const never = new Int32Array(new SharedArrayBuffer(4));

function json(response, value) {
  const body = JSON.stringify(value);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function whenThere(file, next) {
  if (fs.existsSync(file)) next();
  else setTimeout(whenThere, 10, file, next);
}

const routes = {
  '/': (query, request, response) => json(response, whoami()),
  '/plain': (query, request, response) => response.writeHead(200, { 'content-length': 5 }).end('hello'),
  '/slow': (query, request, response) => setTimeout(() => json(response, whoami()), Number(query.get('ms'))),
  '/until': (query, request, response) => whenThere(query.get('file'), () => json(response, whoami())),
  '/block': (query, request, response) => {
    Atomics.wait(never, 0, 0, Number(query.get('ms')));
    json(response, whoami());
  },
  '/exit': (query) => process.exit(Number(query.get('code'))),
  '/crash': () => setImmediate(() => { throw new Error('asked to crash'); }),
  '/echo': (query, request, response) => request.pipe(response),
  '/big': (query, request, response) => response.end(Buffer.alloc(Number(query.get('bytes') ?? DEFAULT_BYTES), 'x')),
  '/remote': (query, { socket }, response) => json(response, { address: socket.remoteAddress, port: socket.remotePort }),
  '/env': (query, request, response) => json(response, process.env[query.get('name')] ?? null),
  '/address': (query, request, response) => json(response, server.address()),
  '/print': (query, request, response) => {
    console.log(query.get('text'));
    console.error(query.get('text'));
    json(response, whoami());
  },
};

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://test');
  if (url.pathname !== '/plain') noteRequest(response);
  const route = routes[url.pathname];
  if (route) route(url.searchParams, request, response);
  else response.writeHead(404).end();
});
server.listen(Number(process.env.PORT), process.env.HOST);
