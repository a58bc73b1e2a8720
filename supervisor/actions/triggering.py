"""Owns asking the workers of an app for an action, each by itself. Runs in the supervisor process.

It ends nobody and starts nobody. A worker that does not answer delays no other, and costs who asks a bounded time.
"""

import asyncio
from collections.abc import Awaitable, Callable

from ...worker.actions.registry import MAX_NAME_CHARACTERS
from ...worker.actions.wire import MAX_PARAM_BYTES
from ..control.protocol import TriggerParams, WorkerAnswer
from ..errors import BusyError, FastlbError, UsageError
from ..output.event_log import EventLog
from ..workers.crew import Crew
from ..workers.handle import WorkerHandle
from ..workers.signalling import meant
from .call import ENDED, ActionCall, ActionOutcome
from .files import ActionFiles

MOST_AT_A_TIME = 8
LONGEST_TIMEOUT = 3600.0
# Their parameter is how long they last, beside what they have to do.
LASTING = {"profile": 10.0, "cpuprofile": 10.0}
# As long as the heap is large: seconds more than is usual.
SLOW = {"heapdump": 300.0, "generateHeapDump": 300.0}

# Seconds in which whoever asked takes an answer.
LONGEST_ANSWER = 30.0

OnAnswer = Callable[[WorkerAnswer], Awaitable[None]]


class Actions:
    """Has workers do things. All borrowed."""

    def __init__(self, crew: Crew, log: EventLog, files: ActionFiles) -> None:
        self._crew = crew
        self._log = log
        self._files = files
        self._running = 0

    async def trigger(self, params: TriggerParams, on_answer: OnAnswer) -> str:
        """Ask each worker, or one, and call `on_answer` with each answer when it comes. Returns a sentence.

        Raises:
            UsageError: the name, the parameter or the time cannot be.
            FastlbError: there is no such worker.
            BusyError: too many have asked.
        """
        check(params)
        workers = meant(self._crew.members, params.worker)
        if self._running >= MOST_AT_A_TIME:
            raise BusyError(f"{MOST_AT_A_TIME} actions of this app run already: try again when one has ended")
        self._running += 1
        try:
            await asyncio.gather(*(self._ask(worker, params, on_answer) for worker in workers))
        finally:
            self._running -= 1
        return f"{len(workers)} workers were asked"

    async def told_by_all(self, action: str, seconds: float) -> dict[int, str]:
        """Ask each worker for an action of ours that only tells something; return the texts, by number of the worker.

        One that has not answered in time, or cannot, is left out. Nothing is logged.
        """

        async def told_by(worker: WorkerHandle) -> str:
            call = ActionCall(action, None, seconds, worker.worker_id, self._files)
            try:
                async with asyncio.timeout(seconds):
                    outcome = await self._run(worker, call)
            except TimeoutError:
                return ""
            finally:
                call.close()
            return outcome.text if outcome.ok else ""

        newest = {worker.worker_id: worker for worker in sorted(self._crew.members, key=lambda one: one.generation)}
        texts = await asyncio.gather(*(told_by(worker) for worker in newest.values()))
        return {number: text for number, text in zip(newest, texts, strict=True) if text}

    async def _ask(self, worker: WorkerHandle, params: TriggerParams, on_answer: OnAnswer) -> None:
        pid = worker.incarnation.process.pid if worker.incarnation else 0
        call = ActionCall(
            params.action, params.param, params.timeout + lasting(params), worker.worker_id, self._files
        )
        path = ""
        try:
            outcome = await self._run(worker, call)
            path = await call.take_file(is_wanted=outcome.ok)
        except OSError as error:
            outcome = ActionOutcome(False, f"its file cannot be kept: {error.strerror}")
        finally:
            call.close()
        self._note(worker, pid, params.action, outcome, path)
        answer = WorkerAnswer(
            worker=worker.worker_id,
            pid=pid,
            ok=outcome.ok,
            text=outcome.text,
            file=path,
            known=outcome.known,
            is_unknown=outcome.is_unknown,
        )
        async with asyncio.timeout(LONGEST_ANSWER):  # who reads nothing is not to keep others from asking
            await on_answer(answer)

    async def _run(self, worker: WorkerHandle, call: ActionCall) -> ActionOutcome:
        if worker.incarnation is None:
            return ActionOutcome(False, ENDED)
        try:
            return await worker.incarnation.link.run_action(call)
        except FastlbError as error:
            return ActionOutcome(False, error.message)

    def _note(self, worker: WorkerHandle, pid: int, action: str, outcome: ActionOutcome, path: str) -> None:
        if not action or outcome.is_unknown:
            return
        fields = {"worker_id": worker.worker_id, "pid": pid, "action": action, **({"file": path} if path else {})}
        if outcome.ok:
            self._log.info("action_done", **fields)
        else:
            self._log.warning("action_failed", **fields)


def check(params: TriggerParams) -> None:
    """Raise UsageError for what no worker is asked."""
    if len(params.action) > MAX_NAME_CHARACTERS:
        raise UsageError(f"trigger: the name of an action has at most {MAX_NAME_CHARACTERS} characters")
    if params.param is not None and len(params.param.encode(errors="replace")) > MAX_PARAM_BYTES:
        raise UsageError(f"trigger: the parameter has more than {MAX_PARAM_BYTES} bytes")
    if not 0 < params.timeout <= LONGEST_TIMEOUT:
        raise UsageError(f"trigger: --timeout {params.timeout:g} must be above 0, and at most {LONGEST_TIMEOUT:g} s")


def lasting(params: TriggerParams) -> float:
    """Return how many seconds an action lasts because it was asked to, or is known to."""
    if params.action in SLOW:
        return SLOW[params.action]
    usual = LASTING.get(params.action, 0.0)
    try:
        seconds = float(params.param) if usual and params.param is not None else usual
    except ValueError:
        return 0.0
    return min(seconds, LONGEST_TIMEOUT) if seconds > 0 else 0.0
