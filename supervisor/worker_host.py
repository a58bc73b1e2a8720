"""Owns what the lifecycle's effects mean: processes, channels, pages, slots. Runs in the supervisor process.

It performs and reports back; it decides nothing. The only place that makes and ends incarnations.
"""

import asyncio
import itertools
import os
import random
import sys
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from ..lb.page import PAGE_SLOTS, WorkerPageView
from ..worker.wire import ListenerInfo, Serving, StartupFailed, WorkerConfig
from .app_config import AppConfig
from .dispatcher_keeper import DispatchedWorker, DispatcherKeeper
from .event_log import EventLog
from .incarnation import Incarnation, WorkerEnds, open_ends
from .lifecycle import (
    Admit,
    Discard,
    Drain,
    Effect,
    Event,
    EventName,
    KillGroup,
    Report,
    SendSignal,
    Spawn,
)
from .limits import descriptor_limit, worker_bounds
from .process_output import WorkerOutput
from .reaper import ExitStatus, Reaper
from .spawn import SpawnedProcess, SpawnError, SpawnPlan, spawn
from .watch import HangLimits, WorkerWatch
from .worker_channel import ChannelClosed, ReadySaid, WorkerChannel, WorkerMessage
from .worker_handle import WorkerHandle

_FROM_CONFIG = sorted(set(WorkerConfig.__struct_fields__) & set(AppConfig.__struct_fields__))
# How systemd and our own launcher pass descriptors: none of them reaches a worker.
_NOT_FOR_WORKERS = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


@dataclass
class Totals:
    """What the dead incarnations of a worker id have counted."""

    requests: int = 0
    errors: int = 0


@dataclass(frozen=True)
class HostParts:
    """What a WorkerHost works with; all borrowed."""

    keeper: DispatcherKeeper
    reaper: Reaper
    output: WorkerOutput
    log: EventLog
    listeners: tuple[ListenerInfo, ...]


class WorkerHost:
    """Performs effects for all workers of an app.

    Attributes:
        target_workers: how many workers the app is to have; bounds each one's credit.
        totals: by worker id.
    """

    def __init__(self, config: AppConfig, parts: HostParts) -> None:
        self.target_workers = config.workers
        self.totals: dict[int, Totals] = {}
        self._config = config
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        # First in, first out: the dispatcher may still be emptying the channel of a slot just freed.
        self._free_slots = deque(range(PAGE_SLOTS))
        self._burials: set[asyncio.Task[None]] = set()

    @property
    def settings(self) -> AppConfig:
        """The settings as they are now: a scale changes the number of workers."""
        return replace(self._config, workers=self.target_workers)

    def perform(self, worker: WorkerHandle, effect: Effect) -> None:
        """Carry out one effect of the lifecycle table."""
        incarnation = worker.incarnation
        match effect:
            case Spawn():
                self._spawn(worker)
            case Report(event, failed, reason):
                self._report(worker, event, failed, reason)
            case Discard() if incarnation:
                self._discard(worker, incarnation)
            case Admit() if incarnation:
                self._admit(worker, incarnation)
            case Drain() if incarnation:
                self._drain(incarnation)
            case SendSignal(signal) if incarnation:
                incarnation.send_signal(signal)
            case KillGroup() if incarnation:
                incarnation.kill_group()

    def _spawn(self, worker: WorkerHandle) -> None:
        try:
            worker.incarnation = self._incarnate(worker)
        except SpawnError as error:
            worker.tell(Event(EventName.SPAWN_FAILED, error.message, jitter=random.random()))
        except OSError as error:
            reason = f"cannot start a worker: {error.strerror}"
            worker.tell(Event(EventName.SPAWN_FAILED, reason, jitter=random.random()))

    def _incarnate(self, worker: WorkerHandle) -> Incarnation:
        """Start a process; raises SpawnError or OSError, and then nothing is left of it."""
        if not self._free_slots:
            raise SpawnError(f"{PAGE_SLOTS} workers live, most of them draining: wait until they have finished")
        with ExitStack() as theirs, ExitStack() as ours:
            ends = open_ends(ours, theirs)
            process = spawn(self._plan(worker, ends))
            ours.pop_all()
        incarnation = self._adopt(worker, ends, process)
        incarnation.lifecycle.send_config(self._worker_config(worker, ends))
        self._parts.reaper.watch(process.pid, process.pidfd, partial(self._on_exit, worker, incarnation))
        self._parts.log.info("worker_started", **_names(worker), pid=process.pid)
        return incarnation

    def _plan(self, worker: WorkerHandle, ends: WorkerEnds) -> SpawnPlan:
        lifecycle_fd = ends.worker_lifecycle.fileno()
        wakeup_fd = self._parts.keeper.wakeup_fd
        return SpawnPlan(
            # -P: a file of the app must not shadow a module of ours.
            command=[sys.executable, "-P", "-m", "fastlb.worker", str(lifecycle_fd)],
            pass_fds=(lifecycle_fd, ends.worker_end.fileno(), ends.page_fd, wakeup_fd),
            env=self._environment(worker),
            cwd=self._config.cwd,
            stdout_fd=ends.worker_stdout_fd,
            stderr_fd=ends.worker_stderr_fd,
        )

    def _adopt(self, worker: WorkerHandle, ends: WorkerEnds, process: SpawnedProcess) -> Incarnation:
        """Take over our ends of a process that was started."""
        number = next(self._numbers)
        on_message = partial(self._on_message, worker, number)
        limits = HangLimits(self._config.hang_timeout, self._config.request_timeout)
        output = self._parts.output.attach(worker.worker_id, process.pid, ends.stdout_fd, ends.stderr_fd)
        return Incarnation(
            number=number,
            slot=self._free_slots.popleft(),
            process=process,
            lifecycle=WorkerChannel(self._loop, ends.lifecycle, on_message),
            dispatcher_end=ends.dispatcher_end,
            worker_end=ends.worker_end,
            page_fd=ends.page_fd,
            page=WorkerPageView(ends.page_fd),
            output=output,
            watch=WorkerWatch(limits),
            started_at=time.monotonic(),
        )

    def _environment(self, worker: WorkerHandle) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_WORKERS}
        return inherited | self._config.env | {"FASTLB_WORKER_ID": str(worker.worker_id)}

    def _worker_config(self, worker: WorkerHandle, ends: WorkerEnds) -> WorkerConfig:
        return WorkerConfig(
            **{name: getattr(self._config, name) for name in _FROM_CONFIG},
            worker_id=worker.worker_id,
            generation=worker.generation,
            channel_fd=ends.worker_end.fileno(),
            page_fd=ends.page_fd,
            wakeup_fd=self._parts.keeper.wakeup_fd,
            listeners=self._parts.listeners,
        )

    def _on_message(self, worker: WorkerHandle, number: int, message: WorkerMessage) -> None:
        incarnation = worker.incarnation
        if incarnation is None or incarnation.number != number:
            return
        match message:
            case Serving():
                incarnation.serving = message
                worker.request(EventName.SERVING)
            case ReadySaid():
                worker.request(EventName.READY_SAID)
            case StartupFailed(reason, details, is_usage):
                worker.tell(Event(EventName.STARTUP_FAILED, reason, details, is_usage))
            case ChannelClosed(reason):
                worker.tell(Event(EventName.CHANNEL_CLOSED, reason))

    def _on_exit(self, worker: WorkerHandle, incarnation: Incarnation, status: ExitStatus) -> None:
        incarnation.is_reaped = True
        # What it said before it died came before its death.
        incarnation.lifecycle.take_last_words()
        worker.request(EventName.DIED)
        task = self._loop.create_task(self._bury(worker, incarnation, status))
        self._burials.add(task)
        task.add_done_callback(self._burials.discard)

    async def _bury(self, worker: WorkerHandle, incarnation: Incarnation, status: ExitStatus) -> None:
        """Tell of the exit once its last output is there, which is the explanation."""
        await incarnation.output.drained()
        details = incarnation.output.error_tail
        worker.tell(Event(EventName.EXITED, str(status), details, jitter=random.random()))

    def _admit(self, worker: WorkerHandle, incarnation: Incarnation) -> None:
        capacity = incarnation.serving.capacity if incarnation.serving else 0
        bounds = worker_bounds(self._config, self.target_workers, capacity, descriptor_limit())
        self._parts.keeper.admit(
            DispatchedWorker(
                slot=incarnation.slot,
                incarnation=incarnation.number,
                bounds=bounds,
                hash_key=worker.worker_id,
                fds=incarnation.dispatcher_fds,
            )
        )

    def _drain(self, incarnation: Incarnation) -> None:
        if self._parts.keeper.knows(incarnation.slot):
            self._parts.keeper.drain(incarnation.slot)
        else:
            incarnation.end_connections()

    def _discard(self, worker: WorkerHandle, incarnation: Incarnation) -> None:
        worker.incarnation = None
        counters = incarnation.page.read()
        totals = self.totals.setdefault(worker.worker_id, Totals())
        totals.requests += counters["requests"]
        totals.errors += counters["errors"]
        self._parts.keeper.remove(incarnation.slot)
        incarnation.close()
        self._free_slots.append(incarnation.slot)

    def _report(self, worker: WorkerHandle, event: str, failed: bool, reason: str) -> None:
        fields: dict[str, object] = dict(_names(worker))
        if worker.incarnation:
            fields["pid"] = worker.incarnation.process.pid
        if reason:
            fields["reason"] = reason
        write = self._parts.log.error if failed else self._parts.log.info
        write(event, **fields)


def _names(worker: WorkerHandle) -> dict[str, int]:
    return {"worker_id": worker.worker_id, "generation": worker.generation}
