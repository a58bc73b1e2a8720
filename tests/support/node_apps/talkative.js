// `GET /say?count=N` sends N process:msg events at once, `GET /say?bytes=N` one of that size. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

function say(query) {
  const data = 'x'.repeat(Number(query.get('bytes') ?? 1));
  for (let left = Number(query.get('count') ?? 1); left > 0; left -= 1) process.send({ type: 'process:msg', data });
}

http
  .createServer((request, response) => {
    const url = new URL(request.url, 'http://test');
    if (url.pathname === '/say') say(url.searchParams);
    response.end(JSON.stringify(whoami()));
  })
  .listen(Number(process.env.PORT), process.env.HOST);
