// An HTTP/2 client: COUNT connections, two requests at a time on each; prints the pids as JSON. Runs in the test.
//
//   node h2c_client.js URL COUNT
'use strict';

const http2 = require('node:http2');

const [url, count] = process.argv.slice(2);

function ask(session) {
  return new Promise((resolve, reject) => {
    let body = '';
    const stream = session.request({ ':path': '/' }).setEncoding('utf8');
    stream.on('data', (chunk) => { body += chunk; });
    stream.on('end', () => resolve(JSON.parse(body).pid));
    stream.on('error', reject);
    session.on('error', reject);
  });
}

async function talk() {
  const session = http2.connect(url);
  const [first, second] = await Promise.all([ask(session), ask(session)]);
  session.close();
  if (first !== second) throw new Error(`one connection was answered by ${first} and ${second}`);
  return first;
}

async function main() {
  const pids = [];
  for (let number = 0; number < Number(count); number += 1) pids.push(await talk());
  console.log(JSON.stringify(pids));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
