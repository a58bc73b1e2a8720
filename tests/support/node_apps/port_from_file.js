// http.js on the port that the file PORT_FILE says: a release whose port changes. Runs in a worker.
'use strict';

const fs = require('node:fs');

process.env.PORT = fs.readFileSync(process.env.PORT_FILE, 'utf8').trim();
require('./http');
