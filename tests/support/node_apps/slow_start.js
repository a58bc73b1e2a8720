// Loads for START_AFTER ms before it listens, as apps do that warm up a cache. Runs in a worker.
'use strict';

setTimeout(() => require('./http'), Number(process.env.START_AFTER));
