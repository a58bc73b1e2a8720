#!/bin/bash
# auto-tune.sh - 自动调优脚本

# 获取当前CPU使用率
CPU_USAGE=$(pm2 show tron-energy-api | grep "cpu" | awk '{print $2}' | cut -d% -f1)
MEMORY_USAGE=$(pm2 show tron-energy-api | grep "memory" | awk '{print $2}' | cut -dM -f1)

# 自动调优逻辑
if [ "$CPU_USAGE" -gt 80 ]; then
    echo "High CPU usage detected: ${CPU_USAGE}%"
    echo "Scaling up instances..."
    pm2 scale tron-energy-api +2
elif [ "$CPU_USAGE" -lt 20 ] && [ "$(pm2 list | grep tron-energy-api | wc -l)" -gt 2 ]; then
    echo "Low CPU usage detected: ${CPU_USAGE}%"
    echo "Scaling down instances..."
    pm2 scale tron-energy-api -1
fi

# 内存使用检查
if [ "$MEMORY_USAGE" -gt 1500 ]; then
    echo "High memory usage detected: ${MEMORY_USAGE}MB"
    echo "Restarting high memory instances..."
    pm2 restart tron-energy-api
fi
