// http.js that says on stdout which signals and messages it gets; holds a timer, so that only a signal ends it: with 0,
// EXIT_AFTER ms later. Runs in a worker.
'use strict';

require('./http');

for (const name of ['SIGTERM', 'SIGINT']) {
  process.on(name, () => {
    console.log(`got ${name}`);
    setTimeout(() => {
      console.log('cleaned up');
      process.exit(0);
    }, Number(process.env.EXIT_AFTER ?? 0));
  });
}
setInterval(() => {}, 1000);
process.on('message', (message) => console.log(`message ${JSON.stringify(message)}`));
