// Owns the answer of every app here to `GET /`: which worker this is, and how often it was asked. Runs in a worker.
'use strict';

let served = 0;

/** Return pid and instance number of this worker, and the number of answers so far, this one included. */
module.exports = function whoami() {
  served += 1;
  return { pid: process.pid, NODE_APP_INSTANCE: process.env.NODE_APP_INSTANCE, served };
};
