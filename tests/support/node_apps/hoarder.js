// Keeps memory: /hoard?64 keeps 64 MiB; everything else says who answers.
const http = require("node:http");

const kept = [];

http
  .createServer((request, response) => {
    const [path, size] = request.url.split("?");
    if (path === "/hoard") kept.push(Buffer.alloc(Number(size) * 1024 * 1024, 1));
    response.end(JSON.stringify({ pid: process.pid }));
  })
  .listen(Number(process.env.PORT));
