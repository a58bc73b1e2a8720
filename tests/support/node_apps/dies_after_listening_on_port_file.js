// Listens on the port that the file PORT_FILE says, and dies: a broken release on another port. Runs in a worker.
'use strict';

const fs = require('node:fs');

process.env.PORT = fs.readFileSync(process.env.PORT_FILE, 'utf8').trim();
require('./dies_after_listening');
