// Opens a heap dump, the first argument, by the loader of Chrome's developer tools, and prints its statistics.
import { createReadStream } from 'node:fs';
import { parse } from 'heap-snapshot-toolkit';

const snapshot = await parse(createReadStream(process.argv[2], 'utf-8'));
console.log(JSON.stringify(snapshot.getStatistics()));
