// A Koa app. Runs in a worker.
'use strict';

const Koa = require('koa');
const whoami = require('./whoami');

const app = new Koa();
app.use((context) => {
  context.body = whoami();
});
app.listen(Number(process.env.PORT), process.env.HOST);
