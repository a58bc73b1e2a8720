module.exports = {
  apps: [
    {
      name: 'tron-api-dev', script: './api/server.ts', interpreter: 'tsx', exec_mode: 'fork', instances: 1,
      env: { NODE_ENV: 'development', PORT: 3001 },
      watch: true, ignore_watch: ['logs', 'node_modules', 'uploads'],
      max_memory_restart: '1G', restart_delay: 1000,
      merge_logs: false, time: true, log_date_format: 'HH:mm:ss',
    },
  ],
};
