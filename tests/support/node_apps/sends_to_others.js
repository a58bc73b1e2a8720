// `GET /send?text=T[&by=PID][&count=N][&bytes=N]` sends messages, if it is that worker; each answer tells what was heard.
// Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

const heard = [];
process.on('message', (message) => {
  if (message && message.text) heard.push(`${message.from} ${message.text}`);
});

function send(query) {
  if (query.get('by') && Number(query.get('by')) !== process.pid) return;
  const pad = 'x'.repeat(Number(query.get('bytes') ?? 0));
  for (let number = 0; number < Number(query.get('count') ?? 1); number += 1) {
    process.send({ text: `${query.get('text')}${number}`, from: process.pid, pad });
  }
}

http
  .createServer((request, response) => {
    const url = new URL(request.url, 'http://test');
    if (url.pathname === '/send') send(url.searchParams);
    response.end(JSON.stringify({ ...whoami(), heard }));
  })
  .listen(Number(process.env.PORT), process.env.HOST, () => process.send('ready'));
