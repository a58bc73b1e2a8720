// What an app, its children and its threads can see of how it was started: nothing but what Node's cluster shows. One
// answer, in JSON. Runs in a worker.
'use strict';

const { execFileSync, fork } = require('node:child_process');
const http = require('node:http');
const { Worker } = require('node:worker_threads');

const seen = () => ({
  execArgv: process.execArgv,
  argv: process.argv.slice(2),
  loaded: Object.keys(require.cache).filter((file) => file !== __filename),
  NODE_OPTIONS: process.env.NODE_OPTIONS ?? null,
});

if (process.argv[2] === 'child') {
  process.send({ ...seen(), cmdline: require('node:fs').readFileSync('/proc/self/cmdline', 'latin1').split('\0') });
  process.disconnect();
} else {
  const environment = () => JSON.parse(execFileSync('node', ['-p', 'JSON.stringify(process.execArgv)']));
  http.createServer((request, response) => {
    const child = fork(__filename, ['child']);
    child.once('message', (ofChild) => {
      const thread = new Worker('require("worker_threads").parentPort.postMessage(process.execArgv)', { eval: true });
      thread.once('message', (ofThread) => {
        response.end(JSON.stringify({ worker: seen(), child: ofChild, thread: ofThread, program: environment() }));
      });
    });
  }).listen(Number(process.env.PORT));
}
