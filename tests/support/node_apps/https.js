// An HTTPS app with the certificate of TLS_CERT and TLS_KEY; says whether the session was resumed. Runs in a worker.
'use strict';

const fs = require('node:fs');
const https = require('node:https');
const whoami = require('./whoami');

const options = { cert: fs.readFileSync(process.env.TLS_CERT), key: fs.readFileSync(process.env.TLS_KEY) };
https
  .createServer(options, (request, response) => {
    response.end(JSON.stringify({ ...whoami(), resumed: request.socket.isSessionReused() }));
  })
  .listen(Number(process.env.PORT), process.env.HOST);
