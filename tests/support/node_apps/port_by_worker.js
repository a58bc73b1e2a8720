// http.js on the port of PORTS that is this worker's. Runs in a worker.
'use strict';

process.env.PORT = process.env.PORTS.split(',')[Number(process.env.NODE_APP_INSTANCE)];
require('./http');
