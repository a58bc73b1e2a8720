// hapi, stopped on a signal.
'use strict';

const Hapi = require('@hapi/hapi');
const { answer, exitIfHeld, save } = require('./ending');

const server = Hapi.server({ port: Number(process.env.PORT), host: '127.0.0.1' });
server.route({
  method: 'GET',
  path: '/',
  handler: (request, h) => {
    answer(request.raw.req, request.raw.res);
    return h.abandon;
  },
});
server.ext('onPostStop', save);
server.start();
process.on('SIGTERM', () => server.stop({ timeout: 5000 }).then(exitIfHeld));
