"""Owns what the lifecycle's effects mean: processes, channels, pages, slots. Runs in the supervisor process.

It performs and reports back; it decides nothing. The only place that makes and ends incarnations.
"""

import asyncio
import itertools
import random
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from ...lb.command import DispatcherEvent
from ...lb.page import PAGE_SLOTS
from ..dispatcher.keeper import DispatcherKeeper
from ..errors import FastlbError, StartFailed, UsageError
from ..output.event_log import EventLog
from ..output.worker_output import WorkerOutput
from ..processes.hang import HangLimits, WorkerWatch
from ..processes.reaper import ExitStatus, Reaper
from ..processes.spawn import SpawnError, SpawnPlan, spawn
from ..settings.app_config import AppConfig
from .handle import WorkerHandle
from .incarnation import Incarnation, OutputPipes, open_pipes
from .life import (
    Admit,
    Discard,
    Drain,
    Effect,
    KillGroup,
    LifeEvent,
    LifeEventName,
    Report,
    SendSignal,
    Spawn,
)
from .runtime import Opening, Place, WorkerRuntime

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

    runtime: WorkerRuntime
    keeper: DispatcherKeeper
    reaper: Reaper
    output: WorkerOutput
    log: EventLog


class WorkerHost:
    """Performs effects for all workers of an app.

    Attributes:
        target_workers: how many workers the app is to have.
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
        self._exit_reports: set[asyncio.Task[None]] = set()

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
                self._parts.runtime.admit(worker, incarnation)
            case Drain(by_itself) if incarnation:
                self._parts.runtime.drain(incarnation, by_itself=by_itself)
            case SendSignal(signal) if incarnation:
                incarnation.send_signal(signal)
            case KillGroup() if incarnation:
                incarnation.kill_group()

    async def prepare(self, generation: int) -> None:
        """What the runtime does before workers of this generation are started.

        Raises:
            StartFailed: they cannot be.
        """
        try:
            await self._parts.runtime.prepare(generation)
        except FastlbError as error:
            raise StartFailed(error.message, details=error.details, exit_code=error.exit_code) from error

    def tell_runtime(self, worker: WorkerHandle, event: DispatcherEvent) -> None:
        """Pass on what the dispatcher says of a worker and only its kind understands."""
        if worker.incarnation:
            self._parts.runtime.on_event(worker, worker.incarnation, event)

    def _spawn(self, worker: WorkerHandle) -> None:
        try:
            worker.incarnation = self._incarnate(worker)
        except FastlbError as error:
            self._report_failed_spawn(worker, error.message, isinstance(error, UsageError))
        except OSError as error:
            self._report_failed_spawn(worker, f"cannot start a worker: {error.strerror}", is_usage=False)

    def _report_failed_spawn(self, worker: WorkerHandle, reason: str, is_usage: bool) -> None:
        event = LifeEvent(LifeEventName.SPAWN_FAILED, reason, is_usage=is_usage, jitter=random.random())
        worker.apply(event)

    def _incarnate(self, worker: WorkerHandle) -> Incarnation:
        """Start a process; raises FastlbError or OSError, and then nothing is left of it."""
        if not self._free_slots:
            raise SpawnError(f"{PAGE_SLOTS} workers live, most of them draining: wait until they have finished")
        number = next(self._numbers)
        with ExitStack() as theirs, ExitStack() as ours:
            opening = self._parts.runtime.open(worker, number, ours, theirs)
            pipes = open_pipes(ours, theirs)
            process = spawn(self._plan(opening, pipes))
            ours.pop_all()
        place = Place(number, self._free_slots.popleft(), process, self.target_workers)
        incarnation = self._adopt(worker, opening, pipes, place)
        self._parts.reaper.watch(process.pid, process.pidfd, partial(self._on_exit, worker, incarnation))
        self._parts.log.info("worker_started", **_names(worker), pid=process.pid)
        return incarnation

    def _plan(self, opening: Opening, pipes: OutputPipes) -> SpawnPlan:
        return SpawnPlan(
            command=opening.command,
            pass_fds=opening.pass_fds,
            env={name: value for name, value in opening.env.items() if name not in _NOT_FOR_WORKERS},
            cwd=self._config.cwd,
            stdout_fd=pipes.worker_stdout_fd,
            stderr_fd=pipes.worker_stderr_fd,
        )

    def _adopt(self, worker: WorkerHandle, opening: Opening, pipes: OutputPipes, place: Place) -> Incarnation:
        """Take over our ends of a process that was started."""
        limits = HangLimits(self._config.hang_timeout, self._config.request_timeout)
        process = place.process
        output = self._parts.output.attach(worker.worker_id, pipes.stdout_fd, pipes.stderr_fd)
        return Incarnation(
            number=place.number,
            slot=place.slot,
            process=process,
            link=self._parts.runtime.connect(worker, opening, place),
            output=output,
            watch=WorkerWatch(limits),
            started_at=time.monotonic(),
        )

    def _on_exit(self, worker: WorkerHandle, incarnation: Incarnation, status: ExitStatus) -> None:
        incarnation.is_reaped = True
        # What it said before it died came before its death.
        incarnation.link.take_last_words()
        worker.apply(LifeEventName.DIED)
        task = self._loop.create_task(self._report_exit(worker, incarnation, status))
        self._exit_reports.add(task)
        task.add_done_callback(self._exit_reports.discard)

    async def _report_exit(self, worker: WorkerHandle, incarnation: Incarnation, status: ExitStatus) -> None:
        """Apply EXITED once its last output is there, which is the explanation."""
        await incarnation.output.drained()
        details = incarnation.output.error_tail
        explanation = incarnation.link.explanation
        reason = f"{status}: {explanation}" if explanation else str(status)
        worker.apply(LifeEvent(LifeEventName.EXITED, reason, details, jitter=random.random()))

    def _discard(self, worker: WorkerHandle, incarnation: Incarnation) -> None:
        worker.incarnation = None
        counters = incarnation.link.counters()
        totals = self.totals.setdefault(worker.worker_id, Totals())
        totals.requests += counters.requests or 0
        totals.errors += counters.errors
        self._parts.keeper.wanted.remove(incarnation.slot)
        self._parts.runtime.forget(incarnation)
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
