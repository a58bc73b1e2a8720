// Logs to one file through worker 0, as log4js does it under PM2 with pm2-intercom: `GET /log`. Runs in a worker.
'use strict';

const http = require('node:http');
const log4js = require('log4js');
const whoami = require('./whoami');

log4js.configure({
  pm2: true,
  appenders: { file: { type: 'file', filename: process.env.LOG_FILE } },
  categories: { default: { appenders: ['file'], level: 'info' } },
});

http
  .createServer((request, response) => {
    if (request.url === '/log') log4js.getLogger().info(`said by ${process.pid}`);
    response.end(JSON.stringify(whoami()));
  })
  .listen(Number(process.env.PORT), process.env.HOST);
