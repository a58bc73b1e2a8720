// Asks once for what takes some milliseconds, `node http2_client.js URL MS`, and says what it hears. Runs by itself.
'use strict';

const http2 = require('node:http2');

const session = http2.connect(process.argv[2]);
session.once('goaway', () => console.log('goaway'));
session.once('close', () => console.log('closed'));
const stream = session.request({ ':path': `/${process.argv[3]}` });
stream.once('response', (headers) => console.log(headers[':status']));
stream.resume();
