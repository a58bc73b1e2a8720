// Owns the actions that every Node worker has: heap dumps and profiles, by the inspector inside the process. No port is
// opened, and the inspector is left when it has ended. Loaded by preload.cjs when somebody asks for the first time. It
// must never throw, nor keep the process alive.
'use strict';

const fs = require('fs');

const PROM_CLIENT = /[\\/]prom-client[\\/]index\.js$/;
const MOST_BYTES = 262144;
const SHORTEST = 1;
const USUAL = 10;
const LONGEST = 300;

/** An inspector session as a function that returns promises, which `work` gets; then the session is closed. */
async function inInspector(work) {
  const { Session } = require('inspector');
  const session = new Session();
  session.connect();
  const post = (method, params) => new Promise((resolve, reject) => {
    session.post(method, params, (error, result) => (error ? reject(new Error(error.message)) : resolve(result)));
  });
  try {
    return await work(post, session);
  } finally {
    session.disconnect();
  }
}

/** Writes to the file that is there; nothing of it stays open. */
function inFile(path, work) {
  const fd = fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_NOFOLLOW);
  try {
    return work(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function heapdump({ param, path }) {
  if (param !== null) throw new Error('it takes no parameter');
  return inInspector((post, session) => inFile(path, (fd) => {
    session.on('HeapProfiler.addHeapSnapshotChunk', ({ params }) => fs.writeSync(fd, params.chunk));
    let failure;
    // All of it happens inside of this call: the process does nothing else meanwhile.
    session.post('HeapProfiler.takeHeapSnapshot', (error) => { failure = error; });
    if (failure) throw new Error(failure.message);
    return `heap dump of ${fs.fstatSync(fd).size} bytes`;
  }));
}

function cpuprofile({ param, path }) {
  const seconds = param === null ? USUAL : Number(param);
  if (!(seconds >= SHORTEST && seconds <= LONGEST)) {
    throw new Error(`'${param}' must be seconds, from ${SHORTEST} to ${LONGEST}`);
  }
  return inInspector(async (post) => {
    await post('Profiler.enable');
    await post('Profiler.start');
    await new Promise((resolve) => { setTimeout(resolve, seconds * 1000).unref(); });
    const { profile } = await post('Profiler.stop');
    inFile(path, (fd) => fs.writeFileSync(fd, JSON.stringify(profile)));
    return `profile of ${seconds} s, ${profile.nodes.length} calls`;
  });
}

/** What the app counts by prom-client, whichever copies of it are loaded; too much for a message is an error. */
async function metrics() {
  const loaded = Object.keys(require.cache).filter((path) => PROM_CLIENT.test(path));
  const found = await Promise.all(loaded.map((path) => require.cache[path].exports.register.getMetricsAsJSON()));
  const text = JSON.stringify(found.flat().map(({ name, type, help, values }) => ({ name, type, help, values })));
  if (Buffer.byteLength(text) > MOST_BYTES) throw new Error(`more than ${MOST_BYTES} bytes`);
  return text;
}

const ACTIONS = {
  'fastlb:metrics': metrics, heapdump, generateHeapDump: heapdump, cpuprofile,
};

/** Do what a message asks for; `say` is called with the answer. */
exports.run = async (message, say) => {
  const { number, name } = message;
  try {
    say({ act: 'action_done', number, ok: true, text: await ACTIONS[name](message) });
  } catch (error) {
    say({ act: 'action_done', number, ok: false, text: `${name}: ${error.message}` });
  }
};
