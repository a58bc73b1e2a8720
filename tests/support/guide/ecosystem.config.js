module.exports = {
  apps: [
    {
      name: 'tron-energy-api', script: './api/server.ts', interpreter: 'tsx', exec_mode: 'fork', instances: 1,
      env: { NODE_ENV: 'production', PORT: 3001 },
      env_file: '.env.production',
      max_memory_restart: '2G', min_uptime: '10s', max_restarts: 10,
    },
    {
      name: 'tron-energy-frontend', script: 'npx', args: ['serve', '-s', 'dist', '-l', '5173'],
      exec_mode: 'fork', instances: 1, max_memory_restart: '512M',
    },
  ],
};
