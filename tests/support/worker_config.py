"""Owns the making of a worker's configuration for tests that play the supervisor: the settings' own defaults.

Runs in the test process.
"""

from typing import Any

from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.worker.wire import WIRE_VERSION, WorkerConfig


def worker_config(**settings: Any) -> WorkerConfig:
    """Return the configuration of worker 0 of an app `app:app`, with `settings` in place of the defaults."""
    app = AppConfig(target="app:app", name="test")
    shared = set(WorkerConfig.__struct_fields__) & set(AppConfig.__struct_fields__)
    defaults: dict[str, Any] = {name: getattr(app, name) for name in shared}
    own = {"wire_version": WIRE_VERSION, "worker_id": 0, "generation": 1, "listeners": ()}
    descriptors = {"channel_fd": -1, "page_fd": -1, "wakeup_fd": -1, "lifeline_fd": -1}
    return WorkerConfig(**{**defaults, **own, **descriptors, **settings})
