// COUNT socket.io clients at a time: one tells, all that hear it are reported. Runs in the test.
//
//   node socketio_adapter_client.js URL COUNT SECONDS: prints [pid of each that was told..., what fetchSockets counts]
'use strict';

const { io } = require('socket.io-client');

const [url, count, seconds] = process.argv.slice(2);

function connect() {
  const socket = io(url, { transports: ['websocket'], reconnection: false, forceNew: true });
  return new Promise((resolve, reject) => {
    socket.once('connect_error', reject);
    socket.once('whoami', ({ pid }) => resolve({ socket, pid }));
  });
}

async function main() {
  const clients = await Promise.all(Array.from({ length: Number(count) }, connect));
  const told = [];
  const all = new Promise((resolve) => {
    for (const { socket, pid } of clients) {
      socket.on('told', () => told.push(pid) === clients.length && resolve());
    }
  });
  clients[0].socket.emit('tell', 'hello');
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000))]);
  const counted = await clients[0].socket.timeout(10_000).emitWithAck('count');
  console.log(JSON.stringify([...told, counted]));
  for (const { socket } of clients) socket.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
