// Starts three programs that live long, in the ways that child_process has, and says their pids. Runs in a worker.
'use strict';

const { exec, fork, spawn } = require('node:child_process');
const http = require('node:http');

if (process.argv[2] === 'child') {
  setInterval(() => {}, 1000);
} else {
  const started = [
    spawn('sleep', ['600'], { stdio: 'inherit' }),
    exec('sleep 600'),
    fork(__filename, ['child']),
  ];
  for (const child of started) child.unref();
  http
    .createServer((request, response) => response.end(JSON.stringify(started.map((child) => child.pid))))
    .listen(Number(process.env.PORT));
}
