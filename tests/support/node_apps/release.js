// Is switched by the file named by FASTLB_TEST_RELEASE, which names an app beside this one: it stands for a release
// directory, of which the next generation of workers runs what is there then. Runs in a worker.
'use strict';

const fs = require('node:fs');

require(`./${fs.readFileSync(process.env.FASTLB_TEST_RELEASE, 'utf8').trim()}`);
