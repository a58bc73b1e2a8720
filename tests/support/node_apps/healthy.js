// An app whose worker is as well as a file says: see ../apps/healthy.py
const fs = require('fs')

function isIll() {
  const file = process.env.HEALTH_FILE
  const words = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split(/\s+/) : []
  return words.includes('all') || words.includes(process.env.FASTLB_WORKER_ID)
}

require('http').createServer((request, response) => {
  response.statusCode = request.url === '/health' && isIll() ? 503 : 200
  response.setHeader('connection', 'close')
  response.end(JSON.stringify({ pid: process.pid, client: request.socket.remoteAddress }))
}).listen(process.env.PORT)
