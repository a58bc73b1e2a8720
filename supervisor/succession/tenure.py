"""Owns whether this supervisor is the one that runs its app: from its start, or from when its predecessor gave it over,
until it gives the app over itself. Runs in the supervisor process.

Until then, and after it, nothing that both have may be removed or shut: home, lock, sockets.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..home.app_lock import AppLock
from ..launch.messages import HandedListener, LaunchRequest
from ..sockets.listeners import BoundListener, adopted
from .estate import read_estate

# Incarnations that a predecessor may start while it is being replaced.
SPARE_NUMBERS = 1000


@dataclass
class Tenure:
    """What both supervisors of an app have, and whether it is ours.

    Attributes:
        request: what this supervisor was told to do.
        lock: of the app; its descriptor is closed when the app was given over.
        listeners: those of the app, borrowed.
        is_ours: whether we run the app.
        has_begun: whether it ever was; one that has given the app over still waits for its own predecessor, so that
            whoever waits for us waits for all.
        predecessor: a pidfd; -1: there is none.
    """

    request: LaunchRequest
    lock: AppLock
    listeners: list[BoundListener] = field(default_factory=list)
    is_ours: bool = True
    has_begun: bool = True
    predecessor: int = -1
    _has_exited: asyncio.Event | None = None

    @property
    def given(self) -> list[BoundListener]:
        """The listeners of --bind, which can be given over: those that an app opens itself have no `spec`."""
        return [listener for listener in self.listeners if listener.spec]

    @property
    def first_number(self) -> int:
        """The number of our first incarnation: above those that the predecessor may still come to."""
        succession = self.request.succession
        return succession.next_number + SPARE_NUMBERS if succession else 1

    @property
    def is_successor(self) -> bool:
        """Whether another supervisor ran the app before us, and gave it over."""
        return self.request.succession is not None

    @property
    def stopped(self) -> list[int]:
        """The numbers of the workers that do not run at first. What was written down may be of an app with more."""
        numbers = self.request.stopped
        if self.is_successor:
            return list(numbers)
        there = [number for number in numbers if number < self.request.config.workers]
        return there if len(there) < self.request.config.workers else []

    def begin(self) -> None:
        """Run the app from here on: the files of sockets are ours to remove, and the lock names us."""
        assert self.request.succession
        for listener, handed in zip(self.listeners, self.request.succession.listeners, strict=True):
            listener.take_file(handed.has_file)
            listener.is_inherited = handed.is_inherited
        self.lock.name_holder()
        self.is_ours = self.has_begun = True

    def give_over(self) -> None:
        """Leave everything to the successor, which holds the lock as well."""
        self.is_ours = False
        for listener in self.listeners:
            listener.unlink_path = None
            listener.is_inherited = True  # so that it is never shut
        self.lock.release()

    def take_estate(self) -> dict[str, bytes]:
        """Return what the predecessor has left, as `read_estate`. Once, after it has said that we may take over."""
        assert self.request.succession
        return read_estate(self.request.succession.estate_fd)

    def hurry_predecessor(self) -> None:
        """Have the predecessor end at once, with what it still finishes."""
        if self.has_begun and self.predecessor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.predecessor, signal.SIGQUIT)

    async def predecessor_gone(self) -> None:
        """Return when the predecessor has finished what it had; at once if there is none, or it runs the app still."""
        if not self.has_begun or self.predecessor < 0:
            return
        if self._has_exited is None:
            self._has_exited = asyncio.Event()
            asyncio.get_running_loop().add_reader(self.predecessor, self._note_exit, self._has_exited)
        await self._has_exited.wait()

    def _note_exit(self, has_exited: asyncio.Event) -> None:
        asyncio.get_running_loop().remove_reader(self.predecessor)
        has_exited.set()


def claim(request: LaunchRequest) -> Tenure:
    """Take over the lock that whoever started us holds."""
    if request.succession is None:
        return Tenure(request, AppLock.inherit(request.lock_fd))
    lock = AppLock.share(request.lock_fd)
    return Tenure(request, lock, is_ours=False, has_begun=False, predecessor=_pidfd_of(os.getppid()))


def handed(listeners: Sequence[BoundListener], first_fd: int) -> list[HandedListener]:
    """Return what a successor is told of the listeners, which it gets from descriptor `first_fd` on."""
    return [
        HandedListener(
            fd=first_fd + at,
            spec=listener.spec,
            has_file=listener.unlink_path is not None,
            is_inherited=listener.is_inherited,
        )
        for at, listener in enumerate(listeners)
    ]


def adopt_listeners(request: LaunchRequest) -> list[BoundListener]:
    """Return the listeners that a predecessor has given us; nothing of them is removed or shut before `begin`."""
    assert request.succession
    return [adopted(at, listener.fd, listener.spec) for at, listener in enumerate(request.succession.listeners)]


def _pidfd_of(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1
