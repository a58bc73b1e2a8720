// Owns what the apps of this folder share: a request that takes its time, and a last deed that is noted. Runs in a worker.
'use strict';

const fs = require('node:fs');

// As an app with a cache or a database pool: nothing ends such a process but itself, or a signal.
if (process.env.HOLDS) setInterval(() => {}, 1000);

const whenThere = (file, then) => (fs.existsSync(file) ? then() : setTimeout(whenThere, 10, file, then));

/** Answer after the milliseconds in `/?ms=500`, or once the file in `/?until=PATH` exists. */
exports.answer = (request, response) => {
  const query = new URL(request.url, 'http://test').searchParams;
  const ms = Number(query.get('ms'));
  const answer = () => response.end(String(process.pid));
  if (ms || query.has('until')) console.log(`begun ${process.pid}`);
  if (query.has('until')) whenThere(query.get('until'), answer);
  else setTimeout(answer, ms);
};

/** What must be done once, at the end: it takes a moment, as to save something does. */
exports.save = async () => {
  await new Promise((resolve) => { setTimeout(resolve, 100); });
  console.log(`saved ${process.pid}`);
};

/** For apps that do not exit by themselves. */
exports.exitIfHeld = () => {
  if (process.env.HOLDS) process.exit(0);
};
