// Is over as soon as it is loaded, without an error: a broken release. Runs in a worker.
'use strict';

process.exit(0);
