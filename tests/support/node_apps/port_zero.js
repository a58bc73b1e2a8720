// Two servers on ports that the system chooses; each tells both ports. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami');

function answer(request, response) {
  const ports = servers.map((server) => server.address().port);
  response.end(JSON.stringify({ ...whoami(), ports }));
}

const servers = [http.createServer(answer), http.createServer(answer)];
for (const server of servers) server.listen(0, process.env.HOST);
