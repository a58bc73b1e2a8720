// A Fastify app. Runs in a worker. Without HOST it listens where Fastify does: on every address of `localhost`.
'use strict';

const fastify = require('fastify')();
const whoami = require('./whoami');

fastify.get('/', async () => whoami());
fastify.listen({ port: Number(process.env.PORT), host: process.env.HOST });
