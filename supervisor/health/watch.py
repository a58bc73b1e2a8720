"""Owns the health checks of an app: who is asked when, who gets no connections because of it, who is replaced.

Runs in the supervisor process. One task for each process asks it; what follows from the answers of all is decided
here, by judge.py. Never all at a time: when every worker that serves is ill, they go on serving, and it is said.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..errors import FastlbError
from ..generations.generations import Generations, GenerationSettings
from ..output.event_log import EventLog
from ..processes.reaper import Reaper
from ..settings.health import HealthPlan, health_plan
from ..workers.crew import uptime
from ..workers.handle import WorkerHandle
from ..workers.incarnation import Incarnation
from ..workers.life import Lifecycle, LifeEvent, LifeEventName, State
from .asker import ask_http, ask_tcp
from .command import ask_command
from .judge import NEW, Health, after_answer, is_panic, is_to_be_replaced, next_pause

# A replacement that is ill at once shows that something else is: the pauses between two double.
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 600.0
ASKED = (State.STARTING, State.READY, State.ADMITTED)


@dataclass
class _Pause:
    """Of one worker id: its process is not replaced before `until`, in monotonic seconds."""

    until: float = 0.0
    length: float = 0.0


class HealthWatch:
    """Asks the workers of an app how they are; does nothing for an app without health checks.

    Args:
        generations: have the settings.
        members: returns all workers.
        reaper: for commands that ask.
        log: is told who is ill.
    """

    asker = "health check"

    def __init__(
        self, generations: Generations, members: Callable[[], Sequence[WorkerHandle]], reaper: Reaper, log: EventLog
    ) -> None:
        self._generations = generations
        self._members = members
        self._reaper = reaper
        self._log = log
        self._healths: dict[WorkerHandle, Health] = {}
        self._plans: dict[WorkerHandle, HealthPlan] = {}
        self._tasks: dict[WorkerHandle, asyncio.Task[None]] = {}
        self._pauses: dict[int, _Pause] = {}
        self._due: list[WorkerHandle] = []
        self._retry_at: float | None = None
        self._is_panic = False

    def begin(self, worker: WorkerHandle) -> None:
        """Ask the process of a worker, which was just started, from now on."""
        settings = self._generations.of(worker.generation)
        plan = health_plan(settings.config)
        self._forget(worker)
        if plan and worker.incarnation:
            self._plans[worker] = plan
            self._healths[worker] = NEW
            self._tasks[worker] = asyncio.create_task(self._watch(worker, worker.incarnation, settings))

    def close(self) -> None:
        """Ask nobody any more."""
        for worker in list(self._tasks):
            self._forget(worker)

    def ailment(self, worker: WorkerHandle) -> str:
        """Why a worker is ill, for people; "": it is not."""
        health = self._healths.get(worker, NEW)
        return health.reason if health.is_ill and worker.life.state in (State.READY, State.ADMITTED) else ""

    def is_wanted(self) -> bool:
        """Settle who gets connections; say whether a replacement is wanted."""
        members = set(self._members())
        for worker in [worker for worker in self._healths if worker not in members]:
            self._forget(worker)
        self._settle()
        is_owed = self._retry_at is not None and time.monotonic() >= self._retry_at
        return is_owed or self._longest_ill() is not None

    def take_due(self) -> list[WorkerHandle]:
        """Return who is to be replaced now, one at most; `note_outcome` must follow."""
        worker = self._longest_ill()
        self._due = [worker] if worker else []
        return self._due

    def note_outcome(self, *, succeeded: bool) -> None:
        """Take note that who was due is replaced, or not: the next time comes after a pause."""
        now = time.monotonic()
        for worker in self._due:
            pause = self._pauses.setdefault(worker.worker_id, _Pause())
            pause.length = min(max(2 * pause.length, FIRST_PAUSE), LONGEST_PAUSE)
            pause.until = now + pause.length
        self._due = []
        # An old worker that had to go before its replacement failed is missing until a later try succeeds.
        self._retry_at = None if succeeded else now + FIRST_PAUSE

    async def _watch(
        self, worker: WorkerHandle, incarnation: Incarnation, settings: GenerationSettings
    ) -> None:
        plan = self._plans[worker]

        def is_over() -> bool:
            return worker.incarnation is not incarnation or worker.life.state not in ASKED

        await worker.until(lambda life: life.awaits_check or life.state is not State.STARTING)
        while not is_over():
            if not worker.life.is_unready and not incarnation.link.is_at_capacity:
                failure = await self._ask(worker, incarnation, settings)
                if is_over():
                    return
                if failure is not None:
                    self._take(worker, failure)
            is_ready = worker.life.state is not State.STARTING
            pause = next_pause(plan, self._healths[worker], is_ready=is_ready, jitter=random.random())
            await asyncio.sleep(pause)

    async def _ask(
        self, worker: WorkerHandle, incarnation: Incarnation, settings: GenerationSettings
    ) -> str | None:
        """Ask once; return what is wrong, "" if nothing is, None if it could not be asked for no fault of its own."""
        plan = self._plans[worker]
        try:
            async with asyncio.timeout(plan.timeout):
                if plan.kind == "command":
                    return await ask_command(plan.command, settings, worker.worker_id, self._reaper)
                sock = await incarnation.link.connect_for_check()
                if sock is None:
                    return None
                if plan.kind == "tcp":
                    return await ask_tcp(sock)
                failure = await ask_http(sock, plan)
                incarnation.link.note_check_answered()
                return failure
        except TimeoutError:
            return f"{plan.question}: no answer within {plan.timeout:g} s"
        except FastlbError as error:
            return f"{plan.question}: {error.message}"
        except OSError as error:
            return f"{plan.question}: {error.strerror or error}"

    def _take(self, worker: WorkerHandle, failure: str) -> None:
        plan, before = self._plans[worker], self._healths[worker]
        after = self._healths[worker] = after_answer(plan, before, failure, uptime(worker))
        if worker.life.state is State.STARTING:
            name = LifeEventName.CHECK_FAILED if failure else LifeEventName.CHECK_PASSED
            worker.apply(LifeEvent(name, failure))
            return
        if after.is_ill and not before.is_ill:
            self._log.error("worker_unhealthy", worker_id=worker.worker_id, reason=after.reason)
        elif before.is_ill and not after.is_ill:
            self._log.info("worker_healthy", worker_id=worker.worker_id)
        if after.successes >= 2:
            self._pauses.pop(worker.worker_id, None)
        self._settle()

    def _settle(self) -> None:
        """Take the ill ones out of the policy, unless none would be left; and let the others in."""
        serving = [worker for worker in self._members() if is_asked_for(worker.life)]
        panic = is_panic(self._healths.get(worker, NEW) for worker in serving)
        if panic is not self._is_panic:
            self._is_panic = panic
            self._report_panic(len(serving))
        for worker in self._members():
            is_ill = self._healths.get(worker, NEW).is_ill and worker.life.state in (State.READY, State.ADMITTED)
            is_out = is_ill and not (panic and worker in serving)
            if is_out is not worker.life.is_ill:
                worker.apply(LifeEventName.FELL_ILL if is_out else LifeEventName.RECOVERED)

    def _report_panic(self, workers: int) -> None:
        if self._is_panic:
            reason = "every worker fails its health check: they go on serving, as nobody else would"
            self._log.error("health_panic", workers=workers, reason=reason)
        else:
            self._log.info("health_panic_over")

    def _longest_ill(self) -> WorkerHandle | None:
        """Return who is to be replaced next: the worker that has failed most often in a row, and may be replaced."""
        now = time.monotonic()
        ill = [
            worker
            for worker, health in self._healths.items()
            if worker.life.state is State.ADMITTED and is_to_be_replaced(self._plans[worker], health)
        ]
        due = [worker for worker in ill if now >= self._pauses.get(worker.worker_id, _Pause()).until]
        return max(due, key=lambda worker: self._healths[worker].failures, default=None)

    def _forget(self, worker: WorkerHandle) -> None:
        self._healths.pop(worker, None)
        self._plans.pop(worker, None)
        task = self._tasks.pop(worker, None)
        if task:
            with suppress(RuntimeError):  # the loop is closed
                task.cancel()


def is_asked_for(life: Lifecycle) -> bool:
    """Whether a worker would get connections if all were well with its health."""
    return life.state is State.ADMITTED and not life.is_unready
