// Answers with the pid of a program that it starts in a session of its own. Runs in a worker.
'use strict';

const { spawn } = require('node:child_process');
const http = require('node:http');

http
  .createServer((request, response) => {
    const child = spawn('sleep', ['300'], { detached: true, stdio: 'ignore' });
    child.unref();
    response.end(JSON.stringify({ child: child.pid }));
  })
  .listen(Number(process.env.PORT));
