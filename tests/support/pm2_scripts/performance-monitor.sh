#!/bin/bash
# performance-monitor.sh - 性能监控脚本

echo "=== PM2 Performance Monitor ==="
echo "Timestamp: $(date)"
echo

# PM2进程状态
echo "PM2 Process Status:"
pm2 list --no-color

echo
echo "Memory Usage:"
pm2 show tron-energy-api | grep -E "(memory|cpu|restart)"

echo
echo "System Resources:"
echo "CPU Usage: $(top -l 1 | grep "CPU usage" | awk '{print $3}' | cut -d% -f1)%"
echo "Memory Usage: $(vm_stat | grep "Pages active" | awk '{print int($3)*4096/1024/1024"MB"}')"
echo "Load Average: $(uptime | awk -F'load averages:' '{print $2}')"

echo
echo "Network Connections:"
netstat -an | grep :3001 | wc -l | awk '{print "Active connections: " $1}'

echo
echo "Recent Errors (last 10):"
pm2 logs tron-energy-api --lines 10 --err --nostream
