// Tells what its process was given: arguments, options of node, directory, variables; and what a child of it gets. Runs
// in a worker.
'use strict';

const { execFileSync } = require('node:child_process');
const cluster = require('node:cluster');
const http = require('node:http');

function childVariables() {
  const printed = execFileSync(process.execPath, ['-p', 'JSON.stringify(process.env)'], { encoding: 'utf8' });
  return JSON.parse(printed);
}

const server = http.createServer((request, response) => {
  const { argv, execArgv, env, pid, ppid, title } = process;
  const worker = { isWorker: cluster.isWorker, id: cluster.worker?.id, connected: process.connected };
  const shown = { pid, ppid, argv, execArgv, title, cwd: process.cwd(), env, worker, address: server.address() };
  response.end(JSON.stringify({ ...shown, childEnv: request.url === '/child' ? childVariables() : null }));
});
server.listen(Number(process.env.PORT), process.env.HOST);
