"""Owns the shape in which `jlist` tells what runs: PM2's, one object for each worker. Pure.

Runs in the user's shell. Scripts and dashboards read these names. Values of environment variables are hidden, as in
every other output: PM2 prints them.
"""

from typing import Any

import msgspec

from ...supervisor.control.protocol import AppDetails, WorkerEntry

# Of a worker, or of its app where it has no status of its own.
STATUSES = {
    "starting": "launching",
    "ready": "launching",
    "online": "online",
    "degraded": "online",
    "reloading": "online",
    "draining": "stopping",
    "stopping": "stopping",
    "exited": "stopped",
    "backoff": "waiting restart",
    "errored": "errored",
    "finished": "stopped",
    "stopped": "stopped",
    "died": "errored",
    "unresponsive": "errored",
}


def process_object(
    pm_id: int, number: int, app: AppDetails, worker: WorkerEntry | None, now: float
) -> dict[str, Any]:
    """Return what PM2 would say of a worker.

    Args:
        pm_id: its number over all apps.
        number: its number in the app.
        app: the app; its settings with secrets hidden.
        worker: what is known of it; None: it does not run.
        now: seconds since the epoch.
    """
    return {
        "pid": (worker and worker.pid) or 0,
        "name": app.name,
        "pm2_env": _environment(pm_id, number, app, worker, now),
        "pm_id": pm_id,
        "monit": {
            "memory": worker.rss_bytes if worker else 0,
            "cpu": round(worker.cpu_percent, 1) if worker else 0,
        },
    }


def _environment(
    pm_id: int, number: int, app: AppDetails, worker: WorkerEntry | None, now: float
) -> dict[str, Any]:
    settings = app.settings
    started_ms = int((now - worker.uptime_s) * 1000) if worker and worker.pid else 0
    return {
        "name": app.name,
        "namespace": settings.get("namespace") or "default",
        "pm_id": pm_id,
        "status": STATUSES[worker.status if worker else app.status],
        "restart_time": worker.restarts if worker else 0,
        "unstable_restarts": worker.unstable_restarts if worker else 0,
        "pm_uptime": started_ms,
        "created_at": started_ms,
        "exec_mode": f"{app.mode}_mode",
        "instances": app.target_workers or settings.get("workers", 1),
        **_autoscaling(app),
        "NODE_APP_INSTANCE": number,
        settings.get("instance_var") or "NODE_APP_INSTANCE": number,
        "pm_exec_path": app.target,
        "pm_cwd": app.cwd,
        "exec_interpreter": settings.get("interpreter") or "",
        "args": list(settings.get("args") or ()),
        "env": dict(settings.get("env") or {}),
        **_files(app),
        **_rules(settings),
        **({"cron_next_at": app.cron_next_at} if app.cron_next_at else {}),
        "version": app.version,
        "axm_monitor": {},
        "axm_actions": [],
    }


def _autoscaling(app: AppDetails) -> dict[str, Any]:
    return {"autoscaling": msgspec.to_builtins(app.autoscaling)} if app.autoscaling else {}


def _files(app: AppDetails) -> dict[str, str]:
    return {
        "pm_out_log_path": app.files.get("out_log", ""),
        "pm_err_log_path": app.files.get("error_log", ""),
    }


def _rules(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that PM2 has as well, by its names and in its units: milliseconds."""
    same = ("autorestart", "max_restarts", "wait_ready", "merge_logs", "stop_exit_codes")
    milliseconds = ("min_uptime", "kill_timeout", "listen_timeout", "restart_delay")
    rules = {name: settings[name] for name in same if name in settings}
    rules |= {name: round(settings[name] * 1000) for name in milliseconds if name in settings}
    rules |= {name: settings[name] for name in ("max_memory_restart", "cron_restart") if settings.get(name)}
    return {**rules, "watch": bool(settings.get("watch"))}
