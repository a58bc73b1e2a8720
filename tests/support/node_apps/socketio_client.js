// A socket.io client: connects COUNT times, echoes on each, prints the pids that answered as JSON. Runs in the test.
//
//   node socketio_client.js URL websocket|polling COUNT [HEADER]
//
// Each has an address of its own in the header HEADER.
'use strict';

const { io } = require('socket.io-client');

const ECHOES = 5;
const [url, transport, count, header] = process.argv.slice(2);

async function talk(number) {
  const extraHeaders = header ? { [header]: `192.0.2.${number + 1}` } : {};
  const options = { transports: [transport], reconnection: false, forceNew: true, upgrade: false, extraHeaders };
  const socket = io(url, options);
  const { pid } = await new Promise((resolve, reject) => {
    socket.once('whoami', resolve);
    for (const failure of ['connect_error', 'disconnect']) socket.once(failure, (why) => reject(new Error(why)));
  });
  for (let sent = 0; sent < ECHOES; sent += 1) {
    const echoed = await socket.timeout(10_000).emitWithAck('echo', sent);
    if (echoed !== sent) throw new Error(`${sent} came back as ${echoed}`);
  }
  socket.removeAllListeners();
  socket.close();
  return pid;
}

async function main() {
  const pids = [];
  for (let number = 0; number < Number(count); number += 1) pids.push(await talk(number));
  console.log(JSON.stringify(pids));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
