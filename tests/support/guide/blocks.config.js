// Blocks of one app each, by what they are for. Those without a script are parts of one, and get `server.js`.
const generated = ({ appName, mode, instances, port, memoryLimit }) => ({
  name: `${appName}-${mode}`,
  script: './server.js',
  exec_mode: mode === 'development' ? 'fork' : 'cluster',
  instances: mode === 'development' ? 1 : instances,
  env: { NODE_ENV: mode, PORT: port, APP_NAME: appName },
  max_memory_restart: memoryLimit,
  min_uptime: mode === 'development' ? '5s' : '30s',
  max_restarts: mode === 'development' ? 3 : 10,
  ...(mode === 'development' && { watch: true, ignore_watch: ['logs', 'node_modules', 'uploads'] }),
  ...(mode === 'production' && { merge_logs: true, wait_ready: true, listen_timeout: 3000, kill_timeout: 8000 }),
});

const blocks = {
  fork: {
    name: 'app-fork', script: './server.js', exec_mode: 'fork', instances: 3,
    max_memory_restart: '500M', merge_logs: false, instance_var: 'PM2_INSTANCE_ID',
    kill_timeout: 5000, listen_timeout: 3000, max_restarts: 10, min_uptime: '10s',
  },
  cluster: {
    name: 'app-cluster', script: './server.js', exec_mode: 'cluster', instances: 'max',
    max_memory_restart: '1G', merge_logs: true, instance_var: 'INSTANCE_ID',
    listen_timeout: 3000, kill_timeout: 5000, wait_ready: true,
    reload_delay: 1000, increment_var: 'INSTANCE_ID', max_restarts: 15, min_uptime: '10s',
  },
  'memory-fork': {
    max_memory_restart: '512M', max_restarts: 10, min_uptime: '30s', kill_timeout: 5000, listen_timeout: 3000,
  },
  'memory-cluster': {
    max_memory_restart: '1G', increment_var: 'INSTANCE_ID', reload_delay: 1000, wait_ready: true, listen_timeout: 3000,
  },
  'logs-fork': {
    merge_logs: false, log_date_format: 'YYYY-MM-DD HH:mm:ss Z',
    out_file: './logs/app-${instance}-out.log', error_file: './logs/app-${instance}-error.log',
    log_file: './logs/app-${instance}-combined.log',
    max_size: '10M', retain: 7, compress: true,
  },
  'logs-cluster': {
    merge_logs: true, log_date_format: 'YYYY-MM-DD HH:mm:ss Z',
    out_file: './logs/app-cluster-out.log', error_file: './logs/app-cluster-error.log',
    log_file: './logs/app-cluster-combined.log',
    log_type: 'json', time: true,
  },
  static: {
    name: 'static-server', script: 'npx', args: ['serve', '-s', 'dist', '-l', '8080'],
    exec_mode: 'fork', instances: 1, max_memory_restart: '200M',
  },
  job: {
    name: 'data-processor', script: './scripts/dataProcessor.js', exec_mode: 'fork', instances: 1,
    cron_restart: '0 2 * * *', max_memory_restart: '2G',
  },
  websocket: {
    name: 'websocket-server', script: './websocketServer.js', exec_mode: 'fork', instances: 2, max_memory_restart: '1G',
  },
  session: {
    name: 'session-service', script: './sessionService.js', exec_mode: 'fork', instances: 1, max_memory_restart: '512M',
  },
  api: {
    name: 'api-server', script: './apiServer.js', exec_mode: 'cluster', instances: 'max', max_memory_restart: '1G',
  },
  rest: {
    name: 'rest-api', script: './restApi.js', exec_mode: 'cluster', instances: 8, wait_ready: true, reload_delay: 1000,
  },
  ecommerce: {
    name: 'ecommerce-api', script: './ecommerceApi.js', exec_mode: 'cluster', instances: 12, max_memory_restart: '1.5G',
  },
  cms: { name: 'cms-api', script: './cmsApi.js', exec_mode: 'cluster', instances: 6, merge_logs: true },
  environment: {
    env: {
      NODE_OPTIONS: '--max-old-space-size=4096 --max-semi-space-size=256',
      NODE_OPTIONS: '--expose-gc --gc-interval=100',
      NODE_ENV: 'production', UV_THREADPOOL_SIZE: 128, CLUSTER_MODE: 'true', INSTANCE_ID: '${instance_var}',
    },
  },
  'fork-optimized': {
    name: 'app-fork-optimized', script: './server.js', exec_mode: 'fork', instances: 4,
    max_memory_restart: '1G', node_args: ['--max-old-space-size=1024', '--gc-interval=100'],
    monitor_mode: true, pmx: true, min_uptime: '30s', max_restarts: 10, restart_delay: 4000,
    kill_timeout: 5000, listen_timeout: 3000,
    merge_logs: false, log_date_format: 'YYYY-MM-DD HH:mm:ss.SSS Z', rotate_logs: true, max_size: '50M', retain: 10,
  },
  'cluster-optimized': {
    name: 'app-cluster-optimized', script: './server.js', exec_mode: 'cluster', instances: 'max',
    instance_var: 'INSTANCE_ID', increment_var: 'INSTANCE_ID', max_memory_restart: '2G',
    node_args: ['--max-old-space-size=2048', '--optimize-for-size', '--gc-interval=100'],
    wait_ready: true, listen_timeout: 3000, kill_timeout: 8000, reload_delay: 1000,
    merge_logs: true, log_date_format: 'YYYY-MM-DD HH:mm:ss.SSS Z', pmx: true,
    health_check_grace_period: 3000, health_check_interval: 30000,
    min_instances: 2, max_instances: 16, scale_cpu: 80, scale_memory: 80,
  },
  'more-time': { wait_ready: true, listen_timeout: 8000, kill_timeout: 10000 },
  'less-memory': { max_memory_restart: '1G', node_args: ['--max-old-space-size=1024', '--gc-interval=100'] },
  balanced: {
    exec_mode: 'cluster', instances: 4, increment_var: 'INSTANCE_ID',
    listen_timeout: 3000, kill_timeout: 5000, reload_delay: 1000,
  },
  'no-downtime': {
    wait_ready: true, listen_timeout: 5000, kill_timeout: 8000, reload_delay: 2000,
    shutdown_with_message: true, wait_ready: true,
  },
  secure: {
    name: 'app-secure', script: './server.js', exec_mode: 'cluster', instances: 'max',
    uid: 'app-user', gid: 'app-group',
    env: { NODE_ENV: 'production', NODE_OPTIONS: '--max-old-space-size=2048', DEBUG: '', NODE_DEBUG: '' },
    max_memory_restart: '2G', max_restarts: 10, min_uptime: '1m',
    log_type: 'json', merge_logs: true, rotate_logs: true, pmx: false, watch: false, ignore_watch: [],
    listen_timeout: 3000, kill_timeout: 10000,
  },
  'generated-development': generated({ appName: 'shop', mode: 'development', instances: 4, port: 0, memoryLimit: '500M' }),
  'generated-production': generated({ appName: 'shop', mode: 'production', instances: 4, port: 0, memoryLimit: '1G' }),
  'phase-1': {
    name: 'tron-energy-api', exec_mode: 'fork', instances: 2, max_memory_restart: '1G',
    node_args: ['--max-old-space-size=1024'], min_uptime: '30s', max_restarts: 10,
  },
  'phase-2': {
    name: 'tron-energy-api', exec_mode: 'cluster', instances: 4, max_memory_restart: '1G',
    wait_ready: true, listen_timeout: 3000, kill_timeout: 5000, reload_delay: 1000,
  },
  'phase-3': {
    name: 'tron-energy-api', exec_mode: 'cluster', instances: 8, max_memory_restart: '1.5G',
    node_args: ['--max-old-space-size=1536', '--gc-interval=100'],
    instance_var: 'INSTANCE_ID', merge_logs: true,
    wait_ready: true, listen_timeout: 3000, kill_timeout: 8000, reload_delay: 1500,
  },
};

module.exports = {
  apps: Object.entries(blocks).map(([name, block]) => ({ script: './server.js', ...block, name })),
};
