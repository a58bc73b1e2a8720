// PM2's words: fastlb start examples/ecosystem.config.js
module.exports = {
  apps: [
    {
      name: 'static',
      script: 'python3',
      args: ['-m', 'http.server', '--bind', '127.0.0.1', '8080'],
      exec_mode: 'fork',
      kill_timeout: 3000,
      max_memory_restart: '200M',
      env: { PYTHONUNBUFFERED: 1 },
      env_production: { PYTHONOPTIMIZE: 1 },
    },
  ],
};
