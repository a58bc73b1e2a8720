// Runs for ever and never listens. Runs in a worker.
'use strict';

setInterval(() => {}, 1000);
