// The end that Node's documentation has: the server is closed on a signal, and nothing is left that would go on.
'use strict';

const http = require('node:http');
const { answer, exitIfHeld, save } = require('./ending');

const server = http.createServer(answer).listen(Number(process.env.PORT));
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => server.close((error) => {
    if (error) {
      console.error(error);
      process.exit(1);
    }
    save().then(exitIfHeld);
  }));
}
