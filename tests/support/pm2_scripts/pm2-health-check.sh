#!/bin/bash
# pm2-health-check.sh

# 检查PM2状态
check_pm2_status() {
    echo "=== PM2 Status Check ==="
    pm2 list --no-color
    echo
}

# 检查内存使用
check_memory_usage() {
    echo "=== Memory Usage Check ==="
    for app in $(pm2 list --no-color | grep "online" | awk '{print $2}'); do
        memory=$(pm2 show $app | grep "memory" | awk '{print $2}')
        echo "$app: $memory"
    done
    echo
}

# 检查错误日志
check_error_logs() {
    echo "=== Recent Errors ==="
    pm2 logs --err --lines 5 --nostream
    echo
}

# 检查重启次数
check_restart_count() {
    echo "=== Restart Count Check ==="
    pm2 list --no-color | grep -E "(restart|↺)" | while read line; do
        restart_count=$(echo $line | awk '{print $4}')
        app_name=$(echo $line | awk '{print $2}')
        if [ "$restart_count" -gt 5 ]; then
            echo "WARNING: $app_name has restarted $restart_count times"
        fi
    done
    echo
}

# 执行检查
check_pm2_status
check_memory_usage
check_error_logs
check_restart_count

# 生成报告
echo "Health check completed at: $(date)"
