// A CommonJS module by its suffix; it exports its server and listens on a string, as many apps do. Runs in a worker.
'use strict';

const http = require('node:http');
const whoami = require('./whoami.js');

module.exports = http.createServer((request, response) => response.end(JSON.stringify(whoami())));
module.exports.listen(process.env.PORT || '3000', process.env.HOST);
