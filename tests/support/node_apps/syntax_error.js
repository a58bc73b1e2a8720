// Cannot be parsed: a broken release. Runs in a worker.
'use strict';

const broken = ;
