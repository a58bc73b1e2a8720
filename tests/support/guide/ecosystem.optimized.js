module.exports = {
  apps: [
    {
      name: 'tron-energy-api', script: './api/server.ts', interpreter: 'tsx', exec_mode: 'cluster', instances: 8,
      env: { NODE_ENV: 'production', PORT: 3001, NODE_OPTIONS: '--max-old-space-size=2048' },
      env_file: '.env.production',
      instance_var: 'INSTANCE_ID', max_memory_restart: '1G', wait_ready: true,
      listen_timeout: 3000, kill_timeout: 5000, reload_delay: 1000,
      merge_logs: true, log_date_format: 'YYYY-MM-DD HH:mm:ss Z',
      min_uptime: '10s', max_restarts: 15,
      watch: false, ignore_watch: ['logs', 'node_modules', 'uploads', 'public', 'dist'],
    },
    {
      name: 'tron-energy-frontend', script: 'npx', args: ['serve', '-s', 'dist', '-l', '5173'],
      exec_mode: 'fork', instances: 1,
      env: { NODE_ENV: 'production' },
      max_memory_restart: '256M', min_uptime: '10s', max_restarts: 5,
      merge_logs: false, log_date_format: 'YYYY-MM-DD HH:mm:ss Z',
    },
  ],
};
