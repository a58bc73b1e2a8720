"""Owns the set of workers of an app: how many there are to be, and what can be asked of several of them.

Runs in the supervisor process. It makes workers and tells them what is wanted; how a single one gets there is
decided by the lifecycle table.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from ..errors import EXIT_USAGE, FastlbError, StartFailed
from ..generations.generations import Generations
from ..processes.backoff import RestartRules
from ..processes.hang import Attention
from ..settings.app_config import AppConfig
from ..settings.cpus import usable_cpus
from ..settings.health import health_plan
from ..settings.readiness import proof_of
from ..settings.traits import WorkerTraits
from .handle import WorkerHandle
from .host import WorkerHost
from .life import ALIVE, AT_REST, SIGNAL_GRACE, WATCHED, Lifecycle, LifecycleRules, LifeEvent, LifeEventName, State
from .roster import staying
from .signalling import meant

# How many workers load the app at a time: more only makes each of them slower, and a broken app
# would print its traceback as many times.
STARTS_PER_CPU = 2


class Crew:
    """All workers of an app, of all generations that still live.

    Args:
        generations: the settings, and which one is current.
        traits: of the app's kind of workers.
        host: carries out what happens to them.
        stopped: numbers of those that are not started, as they were stopped alone before.

    Attributes:
        target_workers: how many workers the app is to have.
        held: numbers of those among them that were stopped, and keep their place.
    """

    def __init__(
        self, generations: Generations, traits: WorkerTraits, host: WorkerHost, stopped: Iterable[int] = ()
    ) -> None:
        self.target_workers = generations.config.workers
        self.held = set(stopped)
        self._generations = generations
        self._traits = traits
        self._host = host
        self._members: list[WorkerHandle] = []
        self._starts = asyncio.Semaphore(STARTS_PER_CPU * usable_cpus())

    @property
    def generation(self) -> int:
        """That of the workers made from now on."""
        return self._generations.current

    @property
    def members(self) -> Sequence[WorkerHandle]:
        """All workers that are not gone."""
        gone = [member for member in self._members if member.is_gone]
        self._members = [member for member in self._members if not member.is_gone]
        for member in gone:
            self._host.totals_of(member.worker_id).restarts += member.life.restarts
        return self._members

    @property
    def is_served(self) -> bool:
        """Whether a worker of the newest generation gets connections."""
        return any(member.life.gets_connections for member in self.members if member.generation == self.generation)

    @property
    def wanted_workers(self) -> int:
        """How many workers are to run: those that were stopped are not. One runs, whatever was written down."""
        return max(self.target_workers - len(self.held), 1)

    def let_go_of_held(self, target: int) -> None:
        """Give up the places of workers that were stopped, the newest first, as far as it leaves `target` places."""
        excess = len(staying(self.members)) + len(self.held) - target
        self.held -= set(sorted(self.held, reverse=True)[: max(excess, 0)])

    @property
    def living_generations(self) -> set[int]:
        """The generations of workers that live or will live again: not of those that rest."""
        return {member.generation for member in self.members if member.life.state not in AT_REST}

    async def start_workers(
        self, worker_ids: Iterable[int], on_ready: Callable[[int], None], settle: float
    ) -> None:
        """Start workers in parallel; when all are ready, admit all, and return when all have lived for `settle` then.

        `on_ready` is told how many are ready.

        Raises:
            StartFailed: the first failure; then none of them is left.
        """
        await self._host.prepare_generation(self.generation)
        started: list[WorkerHandle] = []
        ready = 0

        async def start(worker_id: int) -> None:
            nonlocal ready
            async with self._starts:
                worker = self._create(worker_id, restarts=0)
                started.append(worker)
                await self._prove(worker)
            ready += 1
            on_ready(ready)

        try:
            await _run_all([start(worker_id) for worker_id in worker_ids])
            await _run_all([self.admit(worker) for worker in started])
            await self._watch_admitted(started, settle)
        except StartFailed:
            await self.drain_until_gone(started)
            raise
        except asyncio.CancelledError:
            for worker in started:
                self.drain_in_background(worker)
            raise

    async def start_replacement(self, old: WorkerHandle) -> WorkerHandle:
        """Start a worker with the id of `old`; return it when it is ready. In the same generation it is a restart.

        Raises:
            StartFailed: it did not become ready; nothing of it is left.
        """
        await self._host.prepare_generation(self.generation)
        new = self._create(old.worker_id, restarts=int(old.generation == self.generation))
        await self._prove(new)
        return new

    async def watch_settle(self, new: WorkerHandle, seconds: float) -> None:
        """Return when a ready worker has lived for so long.

        Raises:
            StartFailed: it died before.
        """
        try:
            async with asyncio.timeout(seconds):
                await new.until(lambda life: life.state is not State.READY)
        except TimeoutError:
            return
        await _fail_unless_done(new, "died within settle")

    async def _watch_admitted(self, workers: Sequence[WorkerHandle], seconds: float) -> None:
        """Return when all have served for so long. Raises StartFailed for one that does not serve any more."""
        try:
            async with asyncio.timeout(seconds):
                await _run_all([_fail_when_down(worker) for worker in workers])
        except TimeoutError:
            for worker in workers:
                if worker.life.state is not State.ADMITTED:
                    await _fail_when_down(worker)

    async def admit(self, new: WorkerHandle) -> None:
        """Let a ready worker have connections; return when it is certain that it gets some.

        Raises:
            StartFailed: it is not ready any more, or gets none.
        """
        await self._until_not_withheld(new)
        new.apply(LifeEventName.ADMIT_REQUESTED)
        if new.life.state is not State.ADMITTED or new.incarnation is None:
            await _fail_unless_done(new, "died before it was admitted")
            return
        try:
            await new.incarnation.link.admitted()
        except FastlbError as error:
            raise StartFailed(error.message) from error

    async def _until_not_withheld(self, new: WorkerHandle) -> None:
        try:
            async with asyncio.timeout(new.life.rules.listen_timeout):
                await new.until(lambda life: not life.is_withheld or life.state is not State.READY)
        except TimeoutError:
            raise StartFailed(
                f"worker {new.worker_id} was ready, then not any more or ill, and not ready again within"
                f" {new.life.rules.listen_timeout:g} s"
            ) from None

    async def drain_until_out(self, old: WorkerHandle) -> None:
        """Drain a worker; return when it gets nothing more, or is gone. Its end follows by itself."""
        old.apply(LifeEventName.DRAIN_REQUESTED)
        await old.until(lambda life: life.is_drained or life.state is not State.DRAINING)

    def drain_in_background(self, new: WorkerHandle) -> None:
        """Drain a worker without waiting for it."""
        new.apply(LifeEventName.DRAIN_REQUESTED)

    async def drain_until_gone(self, workers: Iterable[WorkerHandle]) -> None:
        """Drain workers and wait until they are gone."""
        workers = list(workers)
        for worker in workers:
            worker.apply(LifeEventName.DRAIN_REQUESTED)
        for worker in workers:
            await worker.until(lambda life: life.state is State.EXITED)

    async def drain_until_all_out(self) -> None:
        """Drain all workers; return when none of them gets connections any more.

        What was draining already is gone by then, and is waited for while the others still serve: so no more than two
        generations ever live.
        """
        await self.drain_until_gone([member for member in self.members if member.life.is_leaving])
        await asyncio.gather(*(self.drain_until_out(member) for member in self.members))

    async def end(self, *, app_ends: bool = True) -> None:
        """Drain all workers and wait until they are gone; if the app ends they wait for no client that asks nothing."""
        if app_ends:
            self.let_idle_clients_go()
        await self.drain_until_gone(self.members)

    def let_idle_clients_go(self) -> None:
        """Have all workers, when they are drained, wait for no client that asks nothing."""
        for member in self.members:
            if member.incarnation:
                member.incarnation.link.end_with_app()

    def send_line(self, line: bytes, worker_id: int | None) -> str:
        """Write a line to the standard input of each living worker, or of one. Returns a sentence.

        Raises:
            FastlbError: none of them lives, or one could not be written to; the others have it.
        """
        chosen = meant(self.members, worker_id)
        problems = []
        for member in chosen:
            assert member.incarnation is not None
            try:
                member.incarnation.link.write_line(line)
            except FastlbError as error:
                problems.append(f"worker {member.worker_id} {error.message}")
        if problems:
            raise FastlbError("; ".join(problems))
        return f"sent to {len(chosen)} worker{'s' if len(chosen) > 1 else ''}"

    def reset_restarts(self, worker_ids: Sequence[int]) -> None:
        """Let the restarts and crashes of these workers (empty: of all) count for nothing any more."""
        for member in self.members:
            if not worker_ids or member.worker_id in worker_ids:
                member.apply(LifeEventName.RESET)
        for worker_id, totals in self._host.totals.items():
            if not worker_ids or worker_id in worker_ids:
                totals.restarts = 0

    def kill(self) -> None:
        """End all workers at once, by SIGKILL; none comes back."""
        for member in self.members:
            member.apply(LifeEventName.STOP_REQUESTED)

    def find_impeded(self, elapsed: float) -> None:
        """Look for what keeps workers from getting connections; `elapsed`: attended seconds since the last look."""
        for member in self.members:
            if member.incarnation is not None and member.life.state is State.ADMITTED:
                member.incarnation.link.look(elapsed)

    def find_hung(self, elapsed: float, attention: Attention) -> None:
        """Look at the heartbeat of every worker; `elapsed`: attended seconds since the last look."""
        for member in self.members:
            if member.incarnation is None or member.life.state not in WATCHED:
                continue
            pulse = member.incarnation.pulse()
            if pulse is None:
                continue
            reason = member.incarnation.watch.judge(
                pulse.heartbeat_ns, pulse.oldest_request_ns, elapsed, attention
            )
            if reason:
                member.apply(LifeEvent(LifeEventName.HUNG, reason))

    def _create(self, worker_id: int, restarts: int) -> WorkerHandle:
        rules = lifecycle_rules(self._generations.config, self._traits)
        life = Lifecycle(rules, restarts=restarts)
        worker = WorkerHandle(worker_id, self.generation, life, self._host)
        self._members = [*self.members, worker]
        return worker

    async def _prove(self, worker: WorkerHandle) -> None:
        worker.apply(LifeEventName.START_REQUESTED)
        try:
            life = await worker.until(lambda life: life.state in (State.READY, State.EXITED, State.DONE))
        except asyncio.CancelledError:
            self.drain_in_background(worker)
            raise
        if life.state is State.EXITED:
            raise start_failed(worker, "was told to stop")


def lifecycle_rules(config: AppConfig, traits: WorkerTraits) -> LifecycleRules:
    """Return what the settings, and the kind of worker, say about a worker's life."""
    return LifecycleRules(
        listen_timeout=config.listen_timeout,
        kill_timeout=config.kill_timeout,
        kill_signal=config.kill_signal,
        wait_ready=proof_of(config, traits) == "said",
        has_health_check=health_plan(config) is not None,
        restart=RestartRules.of(config),
        not_serving=traits.not_serving,
        not_said=traits.not_said,
        abort_signal=traits.abort_signal,
        starting_grace=config.kill_timeout if traits.works_before_ready else SIGNAL_GRACE,
    )


def uptime(worker: WorkerHandle) -> float:
    """Return the seconds since a worker's process was started; 0 without one."""
    return time.monotonic() - worker.incarnation.started_at if worker.incarnation else 0.0


def start_failed(worker: WorkerHandle, otherwise: str) -> StartFailed:
    """Return why a worker did not start, for the user; `otherwise` is the reason if it gave none."""
    failure = worker.life.failure
    if failure is None:
        return StartFailed(f"worker {worker.worker_id} {otherwise}")
    if failure.is_usage:
        # What was typed is wrong, no code of the app's: the worker's output only repeats the reason.
        return StartFailed(failure.reason, exit_code=EXIT_USAGE)
    failed = StartFailed(f"worker {worker.worker_id} did not start: {failure.reason}", details=failure.details)
    failed.worker_exit_code = worker.life.exit_code
    return failed


async def _fail_unless_done(worker: WorkerHandle, otherwise: str) -> None:
    """Wait until a worker that was never admitted has no process; raise StartFailed unless its work is done."""
    life = await worker.until(lambda life: life.state in (State.EXITED, State.DONE))  # by then it is known why
    if life.state is State.EXITED:
        raise start_failed(worker, otherwise)


async def _fail_when_down(worker: WorkerHandle) -> None:
    """Wait until an admitted worker is down and it is known why; raise StartFailed unless its work is done."""
    await worker.until(lambda life: life.state is not State.ADMITTED)
    life = await worker.until(lambda life: life.state not in ALIVE or life.restarts > 0)
    if life.state is not State.DONE:
        raise start_failed(worker, "died within settle")


async def _run_all(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all `works`; the first that fails cancels the others, and its exception is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
