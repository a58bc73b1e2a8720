// http.js at the address that the file HOST_FILE says: a release that listens elsewhere. Runs in a worker.
'use strict';

const fs = require('node:fs');

process.env.HOST = fs.readFileSync(process.env.HOST_FILE, 'utf8').trim();
require('./http');
