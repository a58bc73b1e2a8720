"""Owns what `list`, `show` and `metrics` say about a running app. Runs in the supervisor process. Changes nothing."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .control.protocol import (
    AppDetails,
    AppEntry,
    AppMetrics,
    AppStatus,
    AutoscalingEntry,
    EventCounts,
    ListenerFigures,
    WorkerEntry,
    WorkerFigures,
    WorkerStatus,
)
from .dispatcher.keeper import DispatcherKeeper
from .generations.generations import Generations
from .home.log_files import app_files
from .home.paths import AppPaths
from .latency.percentiles import percentile_ms, total
from .latency.recent import RecentLatencies
from .limits.pressure import tightest
from .operations import Operation, Operations
from .output import wall_clock
from .output.worker_output import WorkerOutput
from .processes.usage import Sampler, Usage
from .responses.counts import added
from .settings.app_config import AppConfig
from .settings.changes import changed_settings
from .settings.declared import hide_secrets
from .settings.traits import WorkerTraits
from .sockets.accept_queue import accept_queue
from .sockets.listeners import BoundListener
from .version import VERSION
from .workers.crew import Crew, uptime
from .workers.handle import WorkerHandle
from .workers.host import Totals, WorkerHost
from .workers.life import Lifecycle, State
from .workers.roster import app_status, staying
from .workers.runtime import WorkDone

STATUS_WORDS: dict[State, WorkerStatus] = {
    State.STARTING: "starting",
    State.READY: "ready",
    State.ADMITTED: "online",
    State.DRAINING: "draining",
    State.ENDING: "draining",
    State.STOPPING: "stopping",
    State.EXITED: "exited",
    State.BACKOFF: "backoff",
    State.ERRORED: "errored",
    State.DONE: "finished",
}
NOTHING = Totals()


@dataclass(frozen=True)
class Look:
    """What one look at a process has found: at its page, and at /proc."""

    done: WorkDone
    usage: Usage


Looks = Mapping[int, Look]  # by the number of the incarnation


def status_word(life: Lifecycle) -> WorkerStatus:
    """Return one word for a worker."""
    return "unready" if life.is_withheld else STATUS_WORDS[life.state]


@dataclass(frozen=True)
class StatusSources:
    """Where the figures come from; all borrowed.

    `config`: the settings that the app was started with. `addresses`: where it listens now. `ailment`: why a worker is
    ill, or "". `messages`: between workers. `origins` as in LaunchRequest. `hide`: of EventLog.
    `cron_next_at`: of AppEntry.
    """

    config: AppConfig
    generations: Generations
    traits: WorkerTraits
    crew: Crew
    host: WorkerHost
    keeper: DispatcherKeeper
    addresses: Callable[[], list[str]]
    messages: Callable[[], dict[str, int]]
    ailment: Callable[[WorkerHandle], str]
    autoscaling: Callable[[], AutoscalingEntry | None]
    paths: AppPaths
    origins: Mapping[str, str]
    output: WorkerOutput
    hide: Callable[[str], str]
    cron_next_at: Callable[[], str]


class StatusReport:
    """Answers `list`, `show` and `metrics`."""

    def __init__(self, sources: StatusSources) -> None:
        self._sources = sources
        self._sampler = Sampler()
        self._latencies = RecentLatencies()
        self._started_at = time.monotonic()
        self._started_at_text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall_clock.now()))

    def look(self) -> None:
        """Keep a look at the latencies of all processes, if it is time for one."""
        now = time.monotonic()
        if not self._latencies.is_due(now):
            return
        alive = [member.incarnation for member in self._sources.crew.members if member.incarnation]
        self._latencies.note({one.number: one.link.work_done().latency_us for one in alive}, now)

    def entry(self, operations: Operations) -> AppEntry:
        """Return the app's entry in `list`; `operations`: what is done to it."""
        return AppEntry(**self._fields(operations))

    def details(self, operations: Operations) -> AppDetails:
        """Return what `show` says of the app."""
        return AppDetails(
            **self._fields(operations),
            settings=hide_secrets(self._sources.generations.config),
            next_settings=self._otherwise(self._sources.generations.wanted),
            older_settings=self._older_settings(),
            dispatcher=self._sources.keeper.report() if self._sources.traits.needs_dispatcher else {},
            messages=self._sources.messages(),
            files=app_files(self._sources.config, self._sources.paths),
            last_error=self._sources.hide(self._sources.keeper.problem or self._last_error() or operations.failure),
            origins=self._origins(),
            logs=self._sources.output.report(),
            memory=tightest(self._sources.host.cgroups),
            last_exits=self._sources.host.last_exits.entries,
        )

    def metrics(self, operations: Operations) -> AppMetrics:
        """Return all that is counted of the app."""
        source = self._sources
        members = sorted(source.crew.members, key=lambda member: member.generation)
        by_id: dict[int, list[WorkerHandle]] = {member.worker_id: [] for member in members}
        for member in members:
            by_id[member.worker_id].append(member)
        seen = self._look_at(members)
        config = source.generations.config
        return AppMetrics(
            **self._fields(operations, seen),
            figures=[self._figures(worker_id, by_id[worker_id], seen) for worker_id in sorted(by_id)],
            dispatcher=source.keeper.report() if source.traits.needs_dispatcher else {},
            logs=source.output.report(),
            max_memory_bytes=config.max_memory_restart,
            max_requests=config.max_requests,
            max_lifetime_s=config.max_lifetime,
            log_lines=source.output.line_counts,
            listeners=[_listener_figures(listener, source.keeper) for listener in source.keeper.wanted.listeners],
            events=EventCounts(**source.output.event_counts),
        )

    def _figures(self, worker_id: int, members: Sequence[WorkerHandle], seen: "Looks") -> WorkerFigures:
        """Return the figures of a worker; `members`: those with its number, the newest last."""
        looks = [seen[member.incarnation.number] for member in members if member.incarnation]
        before = self._sources.host.totals.get(worker_id, NOTHING)
        done = [look.done for look in looks]
        lags = [one.loop_lag_ns for one in done if one.loop_lag_ns is not None]
        began = [one.oldest_request_ns for one in done if one.oldest_request_ns is not None]
        running = [began_ns for began_ns in began if began_ns]
        return WorkerFigures(
            id=worker_id,
            cpu_seconds=looks[-1].usage.cpu_seconds if looks else 0.0,
            latency_us=total([before.latency_us, *(one.latency_us for one in done)]),
            latency_sum_us=before.latency_sum_us + sum(one.latency_sum_us for one in done),
            responses=added([before.responses, *(one.responses for one in done)]),
            untaken=sum(one.untaken for one in done),
            busy=sum(one.busy or 0 for one in done) if lags else None,
            loop_lag_s=max(lags) / 1e9 if lags else None,
            oldest_request_s=_seconds_since(min(running)) if running else 0.0 if began else None,
        )

    def _look_at(self, members: Sequence[WorkerHandle]) -> "Looks":
        alive = [member.incarnation for member in members if member.incarnation]
        usage = self._sampler.usage
        return {
            one.number: Look(one.link.work_done(), usage(one.process.pid, one.started_at)) for one in alive
        }

    def _otherwise(self, config: AppConfig) -> dict[str, Any]:
        """Return those of the settings `config` that are others than the newest workers have."""
        changed = changed_settings(self._sources.generations.config, config)
        return {name: value for name, value in hide_secrets(config).items() if name in changed}

    def _older_settings(self) -> dict[str, dict[str, Any]]:
        generations = self._sources.generations
        older = sorted({member.generation for member in staying(self._sources.crew.members)} - {generations.current})
        workers = generations.config.workers  # of the app, whatever a generation began with
        configs = {str(number): generations.of(number).resized(workers).config for number in older}
        found = {number: self._otherwise(config) for number, config in configs.items()}
        return {number: settings for number, settings in found.items() if settings}

    def _origins(self) -> dict[str, str]:
        """Return the variables that gave a setting which has not been changed since."""
        source = self._sources
        asked, now = source.config, source.generations.config
        return {name: origin for name, origin in source.origins.items() if getattr(asked, name) == getattr(now, name)}

    def _fields(self, operations: Operations, seen: Looks | None = None) -> dict[str, Any]:
        """Return the fields of AppEntry; `seen`: of all members, if they were looked at already."""
        source = self._sources
        members = sorted(source.crew.members, key=lambda member: (member.worker_id, member.generation))
        newest = {member.worker_id: member for member in members}
        looks = self._look_at(members) if seen is None else seen
        restarts = _restarts_of(members)
        workers = [
            self._worker(member, looks, restarts[member.worker_id] if newest[member.worker_id] is member else None)
            for member in members
        ]
        workers += [_stopped(worker_id) for worker_id in source.crew.held - {worker.id for worker in workers}]
        workers.sort(key=lambda worker: (worker.id, worker.generation))
        self._sampler.keep_only({worker.pid for worker in workers if worker.pid})
        return {
            "name": source.config.name,
            "status": self._status(members, operations.current),
            "mode": source.traits.mode,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started_at, 3),
            "restarts": sum(
                worker.restarts for worker in workers
                if worker.id in newest and worker.generation == newest[worker.id].generation
            ),
            "binds": source.addresses(),
            "balance": source.config.balance if source.traits.needs_dispatcher else "",
            "workers": workers,
            "namespace": source.generations.config.namespace,
            "target": source.generations.config.target,
            "cwd": source.generations.config.cwd,
            "version": VERSION,
            "started_at": self._started_at_text,
            "last_exit": source.host.last_exit,
            "operations": operations.entries(),
            "target_workers": source.crew.target_workers,
            "cron_next_at": source.cron_next_at(),
            "autoscaling": source.autoscaling(),
        }

    def _status(self, members: Sequence[WorkerHandle], operation: Operation | None) -> AppStatus:
        source = self._sources
        status = app_status(members, source.crew.wanted_workers, operation.status if operation else None)
        # Without a dispatcher the workers get nothing, however well they are; and when all are ill, they go on serving.
        is_ill = any(source.ailment(member) for member in members)
        return "degraded" if status == "online" and (source.keeper.problem or is_ill) else status

    def _worker(self, member: WorkerHandle, looks: Looks, restarts: int | None) -> WorkerEntry:
        """Return the entry of a member; `restarts`: of all with its number, if it is the newest of them, else None."""
        # Those that died count for the worker that took their place.
        source, is_newest = self._sources, restarts is not None
        ailment = source.ailment(member)
        before = source.host.totals.get(member.worker_id, NOTHING) if is_newest else NOTHING
        entry = WorkerEntry(
            id=member.worker_id,
            pid=None,
            status="unhealthy" if ailment else status_word(member.life),
            uptime_s=round(uptime(member), 3),
            restarts=before.restarts + (member.life.restarts if restarts is None else restarts),
            connections=0,
            requests=before.requests if source.traits.counts_requests else None,
            rss_bytes=0,
            cpu_percent=0.0,
            generation=member.generation,
            errors=before.errors,
            last_exit=before.last_exit,
            unstable_restarts=member.life.crashes.streak,
        )
        incarnation = member.incarnation
        if incarnation is None:
            return entry
        done, usage = looks[incarnation.number].done, looks[incarnation.number].usage
        entry.pid = incarnation.process.pid
        entry.connections = done.connections
        entry.requests = None if done.requests is None else before.requests + done.requests
        entry.errors += done.errors
        latencies = self._latencies.since(incarnation.number, done.latency_us)
        entry.p50_ms, entry.p99_ms = percentile_ms(latencies, 50), percentile_ms(latencies, 99)
        entry.said = incarnation.notify.status if incarnation.notify else ""
        entry.impediment = f"is ill: {ailment}" if ailment else incarnation.link.impediment
        entry.rss_bytes, entry.cpu_percent = usage.rss_bytes, usage.cpu_percent
        return entry

    def _last_error(self) -> str:
        failures = [member.life.failure for member in staying(self._sources.crew.members)]
        reasons = [failure.reason for failure in failures if failure]
        return reasons[-1] if reasons else ""


def _restarts_of(members: Sequence[WorkerHandle]) -> dict[int, int]:
    """Return the restarts of members by number: what those had that drain now counts for the newest."""
    found: dict[int, int] = {}
    for member in members:
        found[member.worker_id] = found.get(member.worker_id, 0) + member.life.restarts
    return found


def _listener_figures(listener: BoundListener, keeper: DispatcherKeeper) -> ListenerFigures:
    counted, queue = keeper.counters.of_listener(listener.listener_id), accept_queue(listener.socket)
    return ListenerFigures(
        address=listener.address,
        accepted=counted["accepted"] if counted else None,
        errors=counted["errors"] if counted else None,
        waiting=queue.waiting if queue else None,
        limit=queue.limit if queue else None,
        dropped=queue.dropped if queue else None,
    )


def _seconds_since(began_ns: int) -> float:
    return max(time.monotonic_ns() - began_ns, 0) / 1e9


def _stopped(worker_id: int) -> WorkerEntry:
    """Return what is said of a worker that was stopped alone."""
    return WorkerEntry(
        id=worker_id,
        pid=None,
        status="stopped",
        uptime_s=0.0,
        restarts=0,
        connections=0,
        requests=None,
        rss_bytes=0,
        cpu_percent=0.0,
    )
