// Owns the ledger: how many requests a worker began and ended, on disk, so that a kill -9 forgets nothing.
// Runs in a worker. One file a process in FASTLB_TEST_LEDGER; "+" begun, "-" ended, one write(2) each.
'use strict';

const fs = require('node:fs');

const directory = process.env.FASTLB_TEST_LEDGER;
const fd = directory ? fs.openSync(`${directory}/${process.pid}`, 'a', 0o600) : -1;

function note(sign) {
  if (fd >= 0) fs.writeSync(fd, sign);
}

/** A request is being processed, until its response has been written out. */
exports.noteRequest = function noteRequest(response) {
  note('+');
  response.once('finish', () => note('-'));
};
