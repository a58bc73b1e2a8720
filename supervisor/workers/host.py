"""Owns what the effects of the lifecycle table mean: processes are started, signalled and let go.

Runs in the supervisor process. It performs and reports back; it decides nothing, and knows no kind of worker.
"""

import asyncio
import random
import signal
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from ..errors import FastlbError, StartFailed, UsageError
from ..generations.generations import Generations
from ..home.paths import AppPaths
from ..latency.percentiles import total
from ..output.event_log import EventLog
from ..output.worker_output import WorkerOutput
from ..own_metrics.directories import counting_environment
from ..own_metrics.files import CountingFiles, add_up_ended
from ..processes.attributes import attributes_of, becoming
from ..processes.cgroup import memory_cgroups
from ..processes.hang import HangLimits, WorkerWatch
from ..processes.oom_kills import OomKills
from ..processes.oom_score import set_score
from ..processes.reaper import ExitStatus, Reaper
from ..processes.spawn import SpawnPlan, spawn
from ..readiness.notify_socket import NotifySocket, open_notify_socket
from ..responses.counts import added
from ..strays.of_app import Strays
from .handle import WorkerHandle
from .incarnation import Incarnation, OutputPipes, open_pipes
from .last_exits import LastExits
from .life import (
    Admit,
    Discard,
    Drain,
    Effect,
    GiveUp,
    KillGroup,
    LetExit,
    LifeEvent,
    LifeEventName,
    Report,
    SendShutdown,
    SendSignal,
    Spawn,
    Withdraw,
)
from .notices import apply_notice
from .runtime import PreparedStart, StartedProcess, WorkerLink, WorkerRuntime


@dataclass
class Totals:
    """What the dead incarnations of a worker id have counted.

    `restarts`: of handles that are gone. `last_exit`: how the last one ended that was not asked to go.
    `latency_us`, `latency_sum_us`, `responses`: as in WorkDone.
    """

    requests: int = 0
    errors: int = 0
    restarts: int = 0
    last_exit: str = ""
    latency_us: Sequence[int] = ()
    latency_sum_us: int = 0
    responses: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class HostParts:
    """What a WorkerHost works with; all borrowed.

    `paths`: of the app. `oom_score`: of the workers' processes; None: as it is. `first_number`: of the incarnations; 1:
    no other supervisor has any.
    """

    runtime: WorkerRuntime
    reaper: Reaper
    strays: Strays
    output: WorkerOutput
    log: EventLog
    paths: AppPaths
    oom_score: int | None = None
    first_number: int = 1


class WorkerHost:
    """Performs effects for all workers of an app.

    Attributes:
        totals: by worker id.
        last_exit: of all of these, with the worker in front.
        last_exits: what `show` says of each.
        cgroups: that count the memory of all workers, the own one first.
        on_given_up: called when a worker rests: nothing starts it again by itself.
        on_started: called with a worker of which a process was just started.
        on_exit: called when what follows from the end of a process has been done.
    """

    def __init__(self, generations: Generations, parts: HostParts) -> None:
        self.totals: dict[int, Totals] = {}
        self.last_exit = ""
        self.last_exits = LastExits()
        self.cgroups = memory_cgroups()
        self._oom_kills = OomKills(self.cgroups, time.monotonic())
        self.on_given_up: Callable[[], None] = lambda: None
        self.on_started: Callable[[WorkerHandle], None] = lambda worker: None
        self.on_exit: Callable[[], None] = lambda: None
        self._generations = generations
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._next_number = parts.first_number
        self._exit_reports: set[asyncio.Task[None]] = set()
        if parts.first_number == 1:
            parts.paths.remove_notify_sockets()
            CountingFiles.of(parts.paths).remove()

    @property
    def next_number(self) -> int:
        """The number of the incarnation that comes next."""
        return self._next_number

    def totals_of(self, worker_id: int) -> Totals:
        """Return the totals of a worker id, to be added to."""
        return self.totals.setdefault(worker_id, Totals())

    def perform(self, worker: WorkerHandle, effect: Effect) -> None:
        """Carry out one effect of the lifecycle table; one that fails must not keep the others from following."""
        try:
            self._perform(worker, effect)
        except Exception:  # noqa: BLE001 - a worker whose life stands still would never be restarted
            failed = type(effect).__name__
            self._parts.log.error("effect_failed", **_names(worker), effect=failed, traceback=traceback.format_exc())

    def _perform(self, worker: WorkerHandle, effect: Effect) -> None:
        incarnation = worker.incarnation
        match effect:
            case Spawn():
                self._spawn(worker)
            case Report():
                self._report(worker, effect)
            case Discard() if incarnation:
                self._discard(worker, incarnation)
            case GiveUp():
                self.on_given_up()
            case Admit() | Withdraw() | Drain() if incarnation:
                _steer(incarnation.link, effect)
            case SendShutdown() | LetExit() if incarnation:
                incarnation.link.tell_app(effect)
            case SendSignal(name) if incarnation:
                config = self._generations.of(worker.generation).config
                incarnation.send_signal(name, to_tree=config.treekill and name == config.kill_signal)
            case KillGroup() if incarnation:
                incarnation.kill_group()

    async def prepare_generation(self, generation: int) -> None:
        """Have the runtime do what must be done before workers of this generation are started.

        Raises:
            StartFailed: they cannot be.
        """
        try:
            await self._parts.runtime.prepare_generation(generation)
        except FastlbError as error:
            raise StartFailed(error.message, details=error.details, exit_code=error.exit_code) from error

    def _spawn(self, worker: WorkerHandle) -> None:
        try:
            worker.incarnation = self._incarnate(worker)
            self.on_started(worker)
        except FastlbError as error:
            self._report_failed_spawn(worker, error.message, isinstance(error, UsageError))
        except OSError as error:
            self._report_failed_spawn(worker, f"cannot start a worker: {error.strerror}", is_usage=False)

    def _report_failed_spawn(self, worker: WorkerHandle, reason: str, is_usage: bool) -> None:
        event = LifeEvent(LifeEventName.SPAWN_FAILED, reason, is_usage=is_usage, jitter=random.random())
        worker.apply(event)

    def _incarnate(self, worker: WorkerHandle) -> Incarnation:
        """Start a process; raises FastlbError or OSError, and then nothing is left of it."""
        number, self._next_number = self._next_number, self._next_number + 1
        with ExitStack() as theirs, ExitStack() as ours:
            start = self._parts.runtime.prepare_start(worker, number, ours, theirs)
            pipes = open_pipes(ours, theirs)
            notify = self._open_notify_socket(worker, number)
            ours.callback(notify.close)
            env = self._parts.strays.tokens.environment(number) | {"NOTIFY_SOCKET": notify.address}
            env |= counting_environment(self._generations.of(worker.generation).config, self._parts.paths)
            started = StartedProcess(number, spawn(self._plan(worker, start, pipes, env)))
            ours.pop_all()
        process = started.process
        if self._parts.oom_score is not None:
            set_score(process.pid, self._parts.oom_score)
        incarnation = self._adopt(worker, start, pipes, started)
        incarnation.notify = notify
        notify.listen(process.pid, partial(apply_notice, worker))
        self._parts.reaper.watch(process.pid, process.pidfd, partial(self._on_exit, worker, incarnation))
        self._parts.log.info("worker_started", **_names(worker), pid=process.pid)
        return incarnation

    def _open_notify_socket(self, worker: WorkerHandle, number: int) -> NotifySocket:
        """Open it where the process can reach it: of another user it enters no directory of ours."""
        config = self._generations.of(worker.generation).config
        is_other_user = bool(config.uid or config.gid)
        return open_notify_socket(None if is_other_user else self._parts.paths.notify_socket(number))

    def _plan(
        self, worker: WorkerHandle, start: PreparedStart, pipes: OutputPipes, ours: dict[str, str]
    ) -> SpawnPlan:
        """Return what to start; `ours`: variables of ours in its environment."""
        config = self._generations.of(worker.generation).config
        env = {**start.env, **ours}
        attributes = start.attributes(attributes_of(config, worker.worker_id))
        return SpawnPlan(
            command=becoming(attributes, start.command, env),
            pass_fds=start.pass_fds,
            env=env,
            cwd=config.cwd,
            stdout_fd=pipes.worker_stdout_fd,
            stderr_fd=pipes.worker_stderr_fd,
        )

    def _adopt(
        self, worker: WorkerHandle, start: PreparedStart, pipes: OutputPipes, started: StartedProcess
    ) -> Incarnation:
        """Take over our ends of a process that was started."""
        config = self._generations.of(worker.generation).config
        limits = HangLimits(config.hang_timeout, config.request_timeout)
        pid = started.process.pid
        output = self._parts.output.attach(worker.worker_id, pid, pipes.stdout_fd, pipes.stderr_fd)
        return Incarnation(
            process=started.process,
            link=start.connect(started),
            output=output,
            watch=WorkerWatch(limits),
            started_at=time.monotonic(),
            number=started.number,
        )

    def _on_exit(self, worker: WorkerHandle, incarnation: Incarnation, status: ExitStatus) -> None:
        incarnation.is_reaped = True
        unexplained = status.signal == signal.SIGKILL and not incarnation.was_killed
        why = self._oom_kills.claim(time.monotonic()) if unexplained else ""
        # What it said before it died came before its death.
        incarnation.take_last_words()
        worker.apply(LifeEventName.DIED)
        task = self._loop.create_task(self._report_exit(worker, incarnation, status, why))
        self._exit_reports.add(task)
        task.add_done_callback(self._exit_reports.discard)

    async def _report_exit(
        self, worker: WorkerHandle, incarnation: Incarnation, status: ExitStatus, why: str
    ) -> None:
        """Apply EXITED once nothing is left of it and its last output is there, which is the explanation.

        `why`: another explanation, or "".
        """
        await self._parts.strays.end_of(incarnation.number, worker.worker_id)
        await incarnation.output.drained()
        details = incarnation.output.error_tail
        explanation = why or incarnation.link.explain(status, details)
        reason = f"{status}: {explanation}" if explanation else str(status)
        event = LifeEvent(
            LifeEventName.EXITED,
            reason,
            details,
            jitter=random.random(),
            exit_code=status.shell_code,
            is_killed=status.signal is not None,
        )
        worker.apply(event)
        if worker.life.failure and not worker.life.is_leaving:
            hide = self._parts.log.hide
            reason = hide(worker.life.failure.reason)
            self.totals_of(worker.worker_id).last_exit = reason
            self.last_exit = f"worker {worker.worker_id} {reason}"
            self.last_exits.note(worker.worker_id, incarnation.process.pid, reason, hide(details))
        self.on_exit()
        await add_up_ended(self._parts.paths, self._parts.log)

    def look_for_oom_kills(self) -> None:
        """Take note, and say, that the kernel has ended processes of our cgroup: call it now and then."""
        kills = self._oom_kills.look(time.monotonic())
        if kills:
            self._parts.log.warning("out_of_memory", processes=kills)

    def _discard(self, worker: WorkerHandle, incarnation: Incarnation) -> None:
        worker.incarnation = None
        done = incarnation.link.work_done()
        totals = self.totals_of(worker.worker_id)
        totals.requests += done.requests or 0
        totals.errors += done.errors
        totals.latency_us = total([totals.latency_us, done.latency_us])
        totals.latency_sum_us += done.latency_sum_us
        totals.responses = added([totals.responses, done.responses])
        incarnation.close()

    def _report(self, worker: WorkerHandle, report: Report) -> None:
        fields: dict[str, object] = dict(_names(worker))
        if worker.incarnation:
            fields["pid"] = worker.incarnation.process.pid
        if report.reason:
            fields["reason"] = report.reason
        if report.restart_in is not None:
            fields["restart_in_s"] = round(report.restart_in, 3)
        write = self._parts.log.error if report.failed else self._parts.log.info
        write(report.event, **fields)


def _steer(link: WorkerLink, effect: Admit | Withdraw | Drain) -> None:
    match effect:
        case Admit():
            link.admit()
        case Withdraw():
            link.withdraw()
        case Drain(by_itself, quietly):
            link.drain(by_itself=by_itself, quietly=quietly)


def _names(worker: WorkerHandle) -> dict[str, int]:
    return {"worker_id": worker.worker_id, "generation": worker.generation}
