'use strict';
// Runs in a node process of its own: reads the path of a file from descriptor argv[2], evaluates it, and writes what it
// exports to descriptor argv[3], one JSON object: {data}, {refused: sentence} or {thrown: stack}. It must write nothing
// but data. Told no file it ends.
const fs = require('fs');
const { pathToFileURL } = require('url');

const [request, fd] = process.argv.slice(2).map(Number);
const file = fs.readFileSync(request, 'utf8');
fs.closeSync(request);
if (!file) process.exit(0);
process.argv.splice(1, 3, file);
const MOST_VALUES = 100000;
const DEEPEST = 64;

class Refusal extends Error {}

let count = 0;
const around = new Set();

function plain(value, path) {
  if (++count > MOST_VALUES) throw new Refusal(`there are more than ${MOST_VALUES} values in it`);
  switch (typeof value) {
    case 'string': case 'boolean': case 'undefined': return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      throw new Refusal(`${name(path)} is ${value}, which is no number that means anything here`);
    case 'object': return value === null ? null : inner(value, path);
    default: throw new Refusal(`${name(path)} is a ${typeof value}, which is no data: give what it returns`);
  }
}

function inner(value, path) {
  if (value instanceof RegExp) return String(value);
  if (value instanceof Date) return value.toISOString();
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (!['Object', 'Array', 'Module', 'Arguments'].includes(kind)) {
    throw new Refusal(`${name(path)} is a ${kind}, which is no data`);
  }
  if (around.has(value)) throw new Refusal(`${name(path)} contains itself`);
  if (path.length >= DEEPEST) throw new Refusal(`${name(path.slice(0, 4))} is nested deeper than ${DEEPEST} levels`);
  around.add(value);
  const copy = Array.isArray(value)
    ? Array.from(value, (item, index) => { const one = plain(item, [...path, index]); return one === undefined ? null : one; })
    : Object.fromEntries(Object.keys(value).map((key) => [key, plain(value[key], [...path, key])]));
  around.delete(value);
  return copy;
}

function name(path) {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
  return text.replace(/^\./, '') || 'what the file exports';
}

async function load() {
  let exported;
  try {
    exported = file.endsWith('.mjs') ? await import(pathToFileURL(file)) : require(file);
  } catch (error) {
    if (!['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE'].includes(error && error.code)) throw error;
    exported = await import(pathToFileURL(file));
  }
  exported = await exported;
  const isModule = exported && (exported.__esModule || exported[Symbol.toStringTag] === 'Module');
  return isModule && exported.default !== undefined ? await exported.default : exported;
}

function answer(value) {
  const bytes = Buffer.from(JSON.stringify(value));
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at);
  process.exit(0);
}

load().then((exported) => {
  const data = plain(exported, []);
  answer({ data: data === undefined ? null : data });
}).catch((error) => {
  if (error instanceof Refusal) answer({ refused: error.message });
  answer({ thrown: String((error && error.stack) || error) || 'it threw an empty text' });
});
