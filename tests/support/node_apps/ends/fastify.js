// Fastify, closed on a signal.
'use strict';

const fastify = require('fastify');
const { answer, exitIfHeld, save } = require('./ending');

const app = fastify();
app.get('/', (request, reply) => {
  reply.hijack();
  answer(request.raw, reply.raw);
});
app.addHook('onClose', save);
app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
process.on('SIGTERM', () => app.close().then(exitIfHeld));
