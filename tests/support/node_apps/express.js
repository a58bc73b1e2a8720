// An Express app. Runs in a worker.
'use strict';

const express = require('express');
const whoami = require('./whoami');

const app = express();
app.get('/', (request, response) => response.json(whoami()));
app.post('/echo', express.json(), (request, response) => response.json(request.body));
app.listen(Number(process.env.PORT), process.env.HOST);
