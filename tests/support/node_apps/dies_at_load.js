// Throws before it listens: a broken release. Runs in a worker.
'use strict';

throw new Error('this app cannot be loaded');
