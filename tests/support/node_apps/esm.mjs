// An ES module that waits at its top level before it listens. Runs in a worker.
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import whoami from './whoami.js';

const loaded = await pause(20, 'after top-level await');

http
  .createServer((request, response) => response.end(JSON.stringify({ ...whoami(), loaded })))
  .listen(Number(process.env.PORT), process.env.HOST);
