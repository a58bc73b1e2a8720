// A TypeScript app, run by `node --import tsx`; the enum needs a compiler, not only types stripped. Runs in a worker.
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import whoami from './whoami.js';

enum Language {
  TypeScript = 'TypeScript',
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  response.end(JSON.stringify({ ...whoami(), language: Language.TypeScript }));
}

http.createServer(answer).listen(Number(process.env.PORT), process.env.HOST);
