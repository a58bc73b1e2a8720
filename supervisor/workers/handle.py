"""Owns the supervisor's view of one worker: the record of its life, its process, who waits for a change.

Runs in the supervisor process. It brings every event to the table (transitions.py) and has every effect performed,
in order; it decides nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from .incarnation import Incarnation
from .life import ALIVE, Effect, Lifecycle, LifeEvent, LifeEventName, State
from .transitions import step

READ_FIRST = 0.002


class EffectPerformer(Protocol):
    """What carries out the effects that the table demands."""

    def perform(self, worker: "WorkerHandle", effect: Effect) -> None:
        """Carry out one effect now; what comes of it is applied to the worker as an event."""


class WorkerHandle:
    """One worker: a worker id in one generation, through all its incarnations.

    Args:
        worker_id: 0..n-1; a replacement has the same one.
        generation: of the code that it runs.
        life: its record to begin with.
        performer: carries out effects.
    """

    def __init__(self, worker_id: int, generation: int, life: Lifecycle, performer: EffectPerformer) -> None:
        self.worker_id = worker_id
        self.generation = generation
        self.incarnation: Incarnation | None = None
        self._life = life
        self._performer = performer
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._events: deque[LifeEvent] = deque()
        self._is_applying = False
        self._waiters: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"WorkerHandle({self.worker_id}, generation {self.generation}, {self._life.state.name})"

    @property
    def life(self) -> Lifecycle:
        """The worker's record as it is now; never changed in place."""
        return self._life

    @property
    def is_alive(self) -> bool:
        """Whether the worker has a process."""
        return self._life.state in ALIVE

    @property
    def is_gone(self) -> bool:
        """Whether nothing of the worker is left and nothing will come."""
        return self._life.state is State.EXITED and (self._life.is_leaving or self._life.failure is not None)

    def apply(self, event: LifeEvent | LifeEventName) -> None:
        """Bring an event (or one that is only a name) to the table and perform what follows.

        An event that comes from within an effect is taken after the present one.
        """
        self._events.append(event if isinstance(event, LifeEvent) else LifeEvent(event))
        if self._is_applying:
            return
        self._is_applying = True
        try:
            while self._events:
                self._take_step(self._events.popleft())
        finally:
            self._is_applying = False
        self._arm_timer()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[Lifecycle], bool]) -> Lifecycle:
        """Wait until the worker's record fulfils the condition; return the record."""
        while not condition(self._life):
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        return self._life

    def _take_step(self, event: LifeEvent) -> None:
        self._life, effects = step(self._life, event, time.monotonic())
        for effect in effects:
            self._performer.perform(self, effect)

    def _arm_timer(self) -> None:
        """Arm the timer for the record's deadline; anew each time, as the loop's clock may fire a little early."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._life.deadline is not None:
            delay = max(self._life.deadline - time.monotonic(), 0.0)
            self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        """Let what the worker has said be read first: the loop runs timers before it reads."""
        self._timer = self._loop.call_later(READ_FIRST, self.apply, LifeEventName.DEADLINE_PASSED)
