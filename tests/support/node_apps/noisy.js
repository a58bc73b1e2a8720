// Does to its channel what it should not; answers before it does so. The path says what. Runs in a worker.
//
//   /flood?messages=100000   so many messages, as fast as process.send takes them
//   /line?mib=2              one message of so many MiB
//   /null                    the JSON value null            /garbage      a line that is not JSON
//   /empty                   an empty line                  /acks?count=5 acks that nobody asked for
//   /answers?count=5         answers to connections that nobody sent
//   /foreign                 `close` for keys that are not its own
//   /unterminated?mib=2      so many MiB without an end of line
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const whoami = require('./whoami');

// Node has deleted the variable when the app starts; the descriptor is where it was.
const channelFd = process.channel?.fd ?? -1;
const MIB = 1 << 20;

/** Write to the channel past Node, all of it, however often the socket is full. */
function writeRaw(bytes) {
  for (let rest = Buffer.from(bytes); rest.length && channelFd >= 0; ) {
    try {
      rest = rest.subarray(fs.writeSync(channelFd, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

function flood(query) {
  const message = { noise: 'x'.repeat(Number(query.get('size') ?? 64)) };
  for (let left = Number(query.get('messages')); left > 0; left -= 1) process.send?.(message);
}

function answers(query) {
  for (let ack = 1; ack <= Number(query.get('count')); ack += 1) {
    writeRaw(`{"cmd":"NODE_CLUSTER","ack":${ack},"accepted":true,"seq":${1000 + ack}}\n`);
  }
}

function foreign() {
  for (let key = 0; key < 10; key += 1) {
    writeRaw(`{"cmd":"NODE_CLUSTER","act":"close","key":"${key}:elsewhere","seq":${2000 + key}}\n`);
  }
}

const routes = {
  '/flood': flood,
  '/line': (query) => process.send?.('x'.repeat(Number(query.get('mib')) * MIB)),
  '/unterminated': (query) => writeRaw('x'.repeat(Number(query.get('mib')) * MIB)),
  '/null': () => process.send?.(null),
  '/garbage': () => writeRaw('this is not JSON\n'),
  '/empty': () => writeRaw('\n'),
  '/acks': (query) => writeRaw('{"cmd":"NODE_HANDLE_ACK"}\n'.repeat(Number(query.get('count')))),
  '/answers': answers,
  '/foreign': foreign,
};

http
  .createServer((request, response) => {
    const url = new URL(request.url, 'http://test');
    response.end(JSON.stringify(whoami()), () => routes[url.pathname]?.(url.searchParams));
  })
  .listen(Number(process.env.PORT), process.env.HOST);
