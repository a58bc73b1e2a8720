// Owns what the apps of this folder share: a request that takes its time, and a last deed that is noted. Runs in a worker.
'use strict';

// As an app with a cache or a database pool: nothing ends such a process but itself, or a signal.
if (process.env.HOLDS) setInterval(() => {}, 1000);

/** Answer after the milliseconds in `/?ms=500`. */
exports.answer = (request, response) => {
  const ms = Number(new URL(request.url, 'http://test').searchParams.get('ms'));
  if (ms) console.log(`begun ${process.pid}`);
  setTimeout(() => response.end(String(process.pid)), ms);
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
