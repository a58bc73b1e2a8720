module.exports = {
  apps: [
    {
      name: 'tron-api-test', script: './api/server.ts', interpreter: 'tsx', exec_mode: 'cluster', instances: 2,
      env: { NODE_ENV: 'test', PORT: 3001 },
      max_memory_restart: '800M', wait_ready: true, listen_timeout: 5000,
      merge_logs: true, max_restarts: 5, min_uptime: '30s',
    },
  ],
};
