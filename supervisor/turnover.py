"""Owns what is done to the workers of a running app: start, restart, reload, scale, replace; other settings for them.

Runs in the supervisor process, one operation at a time (operations.py sees to that). What follows for a single worker
is decided in workers/; which settings it has, in generations/.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from .abandonment import Abandonment
from .autoscaling.watch import Autoscaling
from .canary.order import CanaryOrder
from .canary.trial import Trial, TrialParts
from .control.progress import Progress
from .control.protocol import WorkersAction
from .errored_retry import ErroredRetry
from .errors import FastlbError, RolledBack, StartFailed, UsageError
from .generations.change import Change
from .generations.generations import Generations
from .health.watch import HealthWatch
from .home.paths import AppPaths
from .home.stopped_workers import save_stopped
from .home.stored_config import save_config
from .limits.watch import LimitWatch
from .processes.resource_limits import check_limits
from .settings.app_config import MAX_WORKERS
from .settings.changes import changed_config, changed_names
from .settings.readiness import proof_of
from .settings.traits import Replacing, WorkerTraits
from .workers.chosen import ChosenWorkers
from .workers.crew import Crew
from .workers.handle import WorkerHandle
from .workers.reload import ReloadRules, reload_workers
from .workers.roster import admitted_count, established, given_up_ids, missing_ids, staying, surplus

Replacer = LimitWatch | HealthWatch
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class TurnoverParts:
    """What a Turnover works with; all borrowed.

    Attributes:
        crew, generations, traits, abandonment, retry, autoscaling: of the app.
        trial: what a canary's trial works with.
        paths: where its settings are kept.
        has_listeners: whether it has listeners of ours, which outlive its workers.
        on_settings: called when there are other settings than before.
        waits_for_change: as in AbandonmentParts; what old workers still have open is closed soon, then.
    """

    crew: Crew
    generations: Generations
    traits: WorkerTraits
    abandonment: Abandonment
    retry: ErroredRetry
    autoscaling: Autoscaling
    trial: TrialParts
    paths: AppPaths
    has_listeners: Callable[[], bool]
    on_settings: Callable[[], None]
    waits_for_change: bool = False


class Turnover:
    """Carries out the operations on the workers of an app. Each raises what App says of it."""

    def __init__(self, parts: TurnoverParts) -> None:
        self._parts = parts
        self._crew = parts.crew
        self._generations = parts.generations
        self._known_stopped = frozenset(parts.crew.held)  # as a later start knows it

    @property
    def settle(self) -> float:
        """How long workers that are ready must live: not once more, where this is how they became ready."""
        config = self._generations.config
        return 0.0 if proof_of(config, self._parts.traits) == "settle" else config.settle

    async def start_missing(self, progress: OnProgress, settle: float) -> None:
        """Start as many workers as are missing; return when they have lived for `settle`, having been admitted."""
        target = self._crew.wanted_workers
        worker_ids = missing_ids(self._crew.members, target, self._crew.held)
        if worker_ids:
            await self._start_workers(worker_ids, settle, progress)
        admitted = min(admitted_count(self._crew.members), target)  # of more there are those that are to go
        progress(Progress(f"{admitted} of {count_of(target, 'worker')} admitted", admitted, target))

    async def restart(self, progress: OnProgress, change: Change) -> str:
        """Drain all workers and start new ones. Returns a sentence."""
        with self._next_generation(change):
            async with self._parts.abandonment.clients_let_in():
                done = await self._restart(progress)
        return self._stopped_remembered(self._remembered(done) if change.config else done)

    async def reload(self, progress: OnProgress, parallel: int | None, change: Change) -> str:
        """Replace the workers by new ones, and have as many as the new settings say. Returns a sentence."""
        with self._next_generation(change):
            async with self._parts.abandonment.clients_let_in():
                done = await self._reload(progress, parallel)
        return self._stopped_remembered(self._remembered(done) if change.config else done)

    async def canary(self, progress: OnProgress, order: CanaryOrder, change: Change) -> str:
        """Try new code beside the old, then replace all workers by new ones, or none. Returns a sentence."""
        if not self._parts.traits.needs_dispatcher:
            raise UsageError("canary is for cluster mode: in fork mode nothing shares the clients among the processes")
        if order.health:
            wanted = change.config or self._generations.wanted
            change = Change(msgspec.structs.replace(wanted, health_check=order.health), change.inherited)
        with self._next_generation(change):
            canaries = await self._start_canaries(order, progress)
            try:
                proof = await Trial(self._parts.trial, canaries, order).until_judged(progress)
                done = f"{await self._reload(progress, None)} ({proof})"
            except BaseException:
                for worker in canaries:
                    self._crew.drain_in_background(worker)
                raise
        return self._remembered(done) if change.config else done

    async def _start_canaries(self, order: CanaryOrder, progress: OnProgress) -> list[WorkerHandle]:
        """Start workers of the new generation besides those that there are; return them when they are admitted."""
        there = len(staying(self._crew.members))
        count = order.canaries(there)
        check_limits(there + count)
        progress(Progress(f"starting {count_of(count, 'worker')} with the new code", 0, 0))
        worker_ids = missing_ids(self._crew.members, there + count, self._crew.held)
        try:
            await self._crew.start_workers(worker_ids, lambda ready: None, self.settle)
        except StartFailed as error:
            raise error.after("nothing was changed, the old workers go on") from error
        canaries = [worker for worker in staying(self._crew.members) if worker.generation == self._crew.generation]
        if not canaries:
            raise RolledBack("rolled back, and the old workers have gone on: the new one has ended at once")
        return canaries

    async def replace(self, replacer: Replacer) -> str:
        """Replace the workers that `replacer` says, and start those that went before their replacement came."""
        due = replacer.take_due()
        succeeded = False
        try:
            async with self._parts.abandonment.clients_let_in():
                if due:
                    await reload_workers(due, self._crew, self._one_by_one(), lambda replaced: None)
                await self.start_missing(ignore_progress, 0.0)
            succeeded = True
        finally:
            replacer.note_outcome(succeeded=succeeded)
        return f"replaced {count_of(len(due), 'worker')}"

    async def retry_errored(self) -> str:
        """Try workers again that were given up a while ago, and those that are missing. Returns a sentence."""
        async with self._parts.abandonment.clients_let_in():
            outcome = await self._parts.retry.replace_errored(self.settle)
            await self.start_missing(ignore_progress, 0.0)
        return outcome

    async def change_workers(self, action: WorkersAction, worker_ids: Sequence[int]) -> str:
        """Do something to some workers while the others go on. Returns a sentence."""
        chosen = ChosenWorkers(self._crew, self._one_by_one, lambda: self.start_missing(ignore_progress, self.settle))
        try:
            if action in ("start", "restart", "reload"):
                async with self._parts.abandonment.clients_let_in():
                    done = await chosen.carry_out(action, worker_ids)
            else:
                done = await chosen.carry_out(action, worker_ids)
        except BaseException:
            with contextlib.suppress(FastlbError):  # what has gone wrong is said
                self._stopped_remembered("")
            raise
        return self._stopped_remembered(self._resized(done) if action == "delete" else done)

    async def autoscale(self) -> str:
        """Have as many workers as the load asks for, now that the turn of that has come. Returns a sentence."""
        target = self._parts.autoscaling.take_due()
        if target is None:
            return "the load asks for no other number any more"
        succeeded = False
        try:
            done = await self.scale(target, ignore_progress, by_load=True)
            succeeded = True
        finally:
            self._parts.autoscaling.note_outcome(succeeded=succeeded)
        return done

    async def unpin(self) -> str:
        """Let the number of workers follow the load again. Returns a sentence."""
        return self._parts.autoscaling.unpin()

    async def scale(self, target: int, progress: OnProgress, *, by_load: bool = False) -> str:
        """Have so many workers, now and after a stop. Returns a sentence."""
        before = self._crew.target_workers
        check_target_workers(target)
        check_limits(target)
        self._crew.target_workers = target
        self._crew.let_go_of_held(target)
        try:
            async with self._parts.abandonment.clients_let_in():
                await self.start_missing(progress, self.settle)
        except StartFailed as error:
            self._crew.target_workers = before
            raise error.after("nothing was changed") from error
        except BaseException:
            self._crew.target_workers = before
            raise
        await self._retire_surplus()
        given_up = given_up_ids(self._crew.members)
        scaled = self._resized(f"scaled from {before} to {count_of(target, 'worker')}", by_load=by_load)
        scaled = self._stopped_remembered(scaled)
        if given_up:
            numbers = ", ".join(map(str, given_up))
            raise FastlbError(
                f"{scaled}, but {len(given_up)} of them crashed too often and do not run (worker {numbers}):"
                f" `fastlb reload {self._generations.config.name}` starts them again"
            )
        return scaled

    async def set(self, assignments: Sequence[str], unset: Sequence[str]) -> str:
        """Change settings of the next generation and of later starts. Returns a sentence."""
        generations, before = self._generations, self._generations.wanted
        config = changed_config(before, assignments, unset)
        generations.want(config)
        self._parts.on_settings()
        names = ", ".join(changed_names(before, config))
        if not names:
            return "nothing was changed: it is so already"
        if config == generations.config:
            return self._remembered(f"{names}: again as the workers have it")
        return self._remembered(f"{names}: for new workers, which `fastlb reload {config.name}` starts")

    def _one_by_one(self) -> ReloadRules:
        return ReloadRules(self.settle, 0.0, self._generations.config.reload_parallel, self._replacing)

    @property
    def _replacing(self) -> Replacing:
        traits = self._parts.traits
        return traits.replacing_on_listeners if self._parts.has_listeners() else traits.replacing

    async def _restart(self, progress: OnProgress) -> str:
        progress(Progress("stopping the workers", 0, self._crew.target_workers))
        self._crew.held.clear()
        if self._parts.waits_for_change:
            self._crew.let_idle_clients_go()
        if self._parts.traits.restarts_when_old == "out":
            await self._crew.drain_until_all_out()
        else:
            await self._crew.drain_until_gone(self._crew.members)
        try:
            await self.start_missing(progress, self.settle)
        except StartFailed as error:
            clients = "wait for a change" if self._parts.waits_for_change else "are refused until a restart succeeds"
            raise error.after(f"no worker runs now, and clients {clients}") from error
        return f"restarted {count_of(self._crew.target_workers, 'worker')}"

    async def _reload(self, progress: OnProgress, parallel: int | None) -> str:
        config, target = self._generations.config, self._crew.wanted_workers
        rules = ReloadRules(self.settle, config.reload_delay, parallel or config.reload_parallel, self._replacing)
        retiring = surplus(self._crew.members, target)
        old = [worker for worker in established(self._crew.members) if worker not in retiring]

        def on_replaced(replaced: int) -> None:
            progress(Progress(f"{replaced} of {target} workers replaced", replaced, target))

        progress(Progress("starting the first replacement", 0, target))
        if old:
            await reload_workers(old, self._crew, rules, on_replaced)
        await self.start_missing(progress, self.settle)
        await self._retire_surplus()
        honestly = ", each after the end of the one before it, whose clients were not kept"
        return f"reloaded {count_of(target, 'worker')}{honestly if rules.replacing == 'old-first' else ''}"

    @contextmanager
    def _next_generation(self, change: Change) -> Iterator[None]:
        """Begin the next generation; where its start, in the context, fails, as many workers are wanted as before."""
        before, held = self._crew.target_workers, set(self._crew.held)
        config = self._generations.config
        with self._generations.next(change, self._has_workers):
            self._parts.on_settings()
            try:
                self._resize(self._parts.autoscaling.workers_after(config, self._generations.config))
                yield
            except BaseException:
                self._crew.target_workers, self._crew.held = before, held
                raise
        self._parts.autoscaling.settle(config)

    def _resize(self, workers: int) -> None:
        if workers != self._crew.target_workers:
            check_limits(workers)
            self._crew.target_workers = workers
            self._crew.let_go_of_held(workers)

    def _has_workers(self, generation: int) -> bool:
        return any(worker.generation == generation for worker in established(self._crew.members))

    def _resized(self, done: str, *, by_load: bool = False) -> str:
        """Write down how many workers there are to be; return the sentence. What a person has said stays."""
        autoscaling = self._parts.autoscaling
        if autoscaling.plan is None:
            self._generations.resize(self._crew.target_workers)
            return self._remembered(done)
        if by_load:
            autoscaling.remember()
            return done
        return done + autoscaling.pin(self._crew.target_workers)

    def _remembered(self, done: str) -> str:
        """Write down what is wanted, for a later start; return the sentence.

        Raises:
            FastlbError: that cannot be; it begins with the sentence.
        """
        try:
            save_config(self._parts.paths, self._generations.wanted)
        except FastlbError as error:
            raise FastlbError(f"{done}, but a later start will not know it: {error.message}") from error
        return done

    def _stopped_remembered(self, done: str) -> str:
        """Write down which workers were stopped alone, if others are than before; return the sentence.

        Raises:
            FastlbError: that cannot be; it begins with the sentence.
        """
        stopped = frozenset(self._crew.held)
        if stopped == self._known_stopped:
            return done
        try:
            save_stopped(self._parts.paths, stopped)
        except FastlbError as error:
            raise FastlbError(f"{done}, but a later start will not know who is stopped: {error.message}") from error
        self._known_stopped = stopped
        return done

    async def _retire_surplus(self) -> None:
        retiring = surplus(self._crew.members, self._crew.wanted_workers)
        await asyncio.gather(*(self._crew.drain_until_out(worker) for worker in retiring))

    async def _start_workers(self, worker_ids: Sequence[int], settle: float, progress: OnProgress) -> None:
        target = self._crew.wanted_workers
        there = target - len(worker_ids)

        def on_ready(ready: int) -> None:
            progress(Progress(f"{there + ready} of {target} workers ready", there + ready, target))

        progress(Progress("starting workers", there, target))
        await self._crew.start_workers(worker_ids, on_ready, settle)


def ignore_progress(progress: Progress) -> None:
    """Tell nobody of the progress of an operation that nobody waits for."""


def check_target_workers(number: int) -> None:
    """Raise unless an app can have so many workers.

    Raises:
        UsageError: it cannot.
    """
    if not 1 <= number <= MAX_WORKERS:
        raise UsageError(f"an app has 1 to {MAX_WORKERS} workers, not {number}")


def count_of(number: int, noun: str) -> str:
    """Return "1 worker", "3 workers"."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
