// Runs an app under Node's own cluster, as its primary: what fastlb and PM2 are compared with. Says `listening` on
// stdout when every worker is.
//
//   node cluster_main.js SCRIPT WORKERS
'use strict';

const cluster = require('node:cluster');

const [script, workers] = process.argv.slice(2);
let awaited = Number(workers);

cluster.setupPrimary({ exec: script, args: [] });
cluster.on('listening', () => {
  awaited -= 1;
  if (awaited === 0) console.log('listening');
});
for (let number = 0; number < Number(workers); number += 1) cluster.fork();
