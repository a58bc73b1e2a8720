// Offers actions in the format of PM2's library, without it. `GET /block` stands still until somebody opens the FIFO of
// the variable FIFO for writing, `GET /burn/SECONDS` uses the processor. Runs in a worker.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const whoami = require('./whoami');

class ThingInTheHeap {}
const things = Array.from({ length: 123 }, () => new ThingInTheHeap());

const actions = {
  hello: () => ({ pid: process.pid, things: things.length }),
  echo: (param) => `got ${param}`,
  silent: () => undefined,
};

for (const name of Object.keys(actions)) {
  process.send({ type: 'axm:action', data: { action_name: name, action_type: 'custom', arity: 1 } });
}
process.on('message', (message) => {
  const name = message.msg ?? message;
  if (!actions[name] || name === 'silent') return;
  process.send({ type: 'axm:reply', data: { at: Date.now(), action_name: name, return: actions[name](message.opts) } });
});

// Called by the event loop alone: where V8 has put it into its caller, no profile has its name.
function burnCycles(seconds, then) {
  const end = Date.now() + 1000 * seconds;
  while (Date.now() < end);
  then();
}

http
  .createServer((request, response) => {
    if (request.url === '/block') fs.readFileSync(process.env.FIFO);
    const answer = () => response.end(JSON.stringify(whoami()));
    if (request.url.startsWith('/burn/')) setImmediate(burnCycles, Number(request.url.slice('/burn/'.length)), answer);
    else answer();
  })
  .listen(Number(process.env.PORT), process.env.HOST);
