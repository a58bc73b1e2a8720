"""Owns how often what is told in events has happened: restarts by their reason, operations, decisions of autoscaling.

Runs in the supervisor process, for its metrics. What it counts by are words of fixed lists, never a text of others.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

RESULTS = ("done", "failed", "cancelled")
# Settings that are limits, as their verdicts name them (limits/judge.py), each with the word for a restart.
LIMITS = {"max_requests": "requests", "max_lifetime": "lifetime", "max_memory_restart": "memory"}
OTHER_LIMIT = "cgroup_memory"
HEALTH_CHECK = "health check"
DECISIONS = {"autoscaling_decided": "", "autoscaling_held": "held"}


class EventTally:
    """Counts events since the supervisor was started. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._levels: Counter[str] = Counter()
        self._restarts: Counter[str] = Counter()
        self._decisions: Counter[str] = Counter()
        self._operations: dict[str, Counter[str]] = {}
        self._seconds: Counter[str] = Counter()
        self._begun: dict[str, float] = {}  # when, by verb
        self._hung: set[object] = set()  # ids of workers that are killed for it

    def note(self, level: str, event: str, fields: Mapping[str, object], now: float) -> None:
        """Count an event, `fields` as in EventLog; `now`: monotonic seconds."""
        with self._lock:
            self._levels[level.lower()] += 1
            if reason := self._restart_reason(event, fields):
                self._restarts[reason] += 1
            if event in DECISIONS:
                self._decisions[DECISIONS[event] or _direction(fields)] += 1
            self._note_operation(event, now)

    def counts(self) -> dict[str, Any]:
        """Return all counts, by the names of the fields of EventCounts."""
        with self._lock:
            return {
                "levels": dict(self._levels),
                "restarts": dict(self._restarts),
                "decisions": dict(self._decisions),
                "operations": {verb: dict(results) for verb, results in self._operations.items()},
                "operation_seconds": {verb: float(seconds) for verb, seconds in self._seconds.items()},
            }

    def _note_operation(self, event: str, now: float) -> None:
        verb, _, word = event.rpartition("_")
        if word == "begun":
            self._begun[verb] = now
        elif word in RESULTS and verb in self._begun:
            self._operations.setdefault(verb, Counter())[word] += 1
            self._seconds[verb] += now - self._begun.pop(verb)  # type: ignore[assignment]

    def _restart_reason(self, event: str, fields: Mapping[str, object]) -> str:
        """Return why a process takes the place of another, in one word; "": it is not about that."""
        worker, reason = fields.get("worker_id"), str(fields.get("reason", ""))
        match event:
            case "worker_hung":
                self._hung.add(worker)
            case "worker_crashed" | "worker_start_failed" if "restart_in_s" in fields:
                return self._failure(event, worker, reason)
            case "worker_left":
                return "left"
            case "limit_reached":
                return next((word for setting, word in LIMITS.items() if setting in reason), OTHER_LIMIT)
            case "replace_begun" if fields.get("by") == HEALTH_CHECK:
                return "unhealthy"
        return ""

    def _failure(self, event: str, worker: object, reason: str) -> str:
        if worker in self._hung:
            self._hung.discard(worker)
            return "hung"
        if event == "worker_start_failed":
            return "start_failed"
        return "out_of_memory" if "out of memory" in reason else "crash"


def _direction(fields: Mapping[str, object]) -> str:
    before, after = fields.get("workers_before"), fields.get("workers")
    return "down" if isinstance(before, int) and isinstance(after, int) and after < before else "up"
