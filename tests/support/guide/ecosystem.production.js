module.exports = {
  apps: [
    {
      name: 'tron-api-prod', script: './api/server.ts', interpreter: 'tsx', exec_mode: 'cluster', instances: 'max',
      env: { NODE_ENV: 'production', PORT: 3001, NODE_OPTIONS: '--max-old-space-size=4096' },
      env_file: '.env.production',
      instance_var: 'INSTANCE_ID', max_memory_restart: '2G', wait_ready: true,
      listen_timeout: 3000, kill_timeout: 10000, reload_delay: 2000,
      merge_logs: true, log_date_format: 'YYYY-MM-DD HH:mm:ss Z', max_restarts: 20, min_uptime: '60s',
      watch: false, autorestart: true, log_type: 'json', time: true,
    },
  ],
};
