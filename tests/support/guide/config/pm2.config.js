const os = require('os');
const path = require('path');

const baseConfig = {
  script: './api/server.ts', interpreter: 'tsx', cwd: path.resolve(__dirname, '..'),
  env: { NODE_ENV: 'development' },
  log_date_format: 'YYYY-MM-DD HH:mm:ss Z', time: true, pmx: true, autorestart: true,
};

module.exports = {
  apps: [
    {
      ...baseConfig, name: 'app-dev', exec_mode: 'fork', instances: 1,
      watch: true, ignore_watch: ['logs', 'node_modules'],
      env: { ...baseConfig.env, NODE_ENV: 'development', PORT: 3001 },
    },
    {
      ...baseConfig, name: 'app-test', exec_mode: 'cluster', instances: 2, watch: false,
      env: { ...baseConfig.env, NODE_ENV: 'test', PORT: 3002 },
    },
    {
      ...baseConfig, name: 'app-prod', exec_mode: 'cluster', instances: os.cpus().length,
      watch: false, max_memory_restart: '2G',
      env: { ...baseConfig.env, NODE_ENV: 'production', PORT: 3001 },
    },
  ],
};
