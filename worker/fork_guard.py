"""Owns what a forked child of a worker must not keep: whatever could act or speak for the worker.

Runs in workers, around every fork(2) of the app (multiprocessing, os.fork, a preexec_fn): in the thread that forks, and
in the child before any line of the app. Never shuts down what the worker still uses: a descriptor is replaced in the
child alone, and keeps its number there, so that an object which closes it later closes nothing else.
"""

import asyncio
import os
import signal
import stat
from collections.abc import Iterable
from select import epoll  # now: gevent takes it away
from threading import local

from fastlb.lb.inbox import ConnectionInbox
from fastlb.worker.orphan_guard import orphan_guard_fd

from .lifecycle_channel import forget_channel_of_this_process

# What Python itself sets for a signal that it handles.
PYTHON_DEFAULTS = {signal.SIGINT: signal.default_int_handler}
LOOP_MODULES = ("asyncio.", "uvloop.", "fastlb.worker.")


class ForkGuard:
    """Guards the children of this process from `install()` on.

    Args:
        fds: descriptors that the worker was started with; borrowed.
    """

    def __init__(self, fds: Iterable[int]) -> None:
        self._fds = set(fds)
        self._inbox: ConnectionInbox | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoll_fds: list[int] = []
        self._forking = local()
        self._is_worker = True

    def install(self) -> None:
        """Be asked at every fork. Before the app is imported: then its own hooks run inside of ours."""
        os.register_at_fork(
            before=self._block_signals, after_in_parent=self._restore_signals, after_in_child=self._on_child
        )

    def cover(self, loop: asyncio.AbstractEventLoop, inbox: ConnectionInbox) -> None:
        """Guard what serves as well: the event loop, and the connections and the status page of `inbox`."""
        self._loop = loop
        self._inbox = inbox

    def cover_epoll(self, epoll_fd: int) -> None:
        """Guard what watches connections beside the event loop; `epoll_fd` is borrowed."""
        self._epoll_fds.append(epoll_fd)

    def _block_signals(self) -> None:
        # Until its handlers are reset a child would write its signals into the wake-up descriptor of the worker's loop.
        if self._is_worker:
            self._forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def _restore_signals(self) -> None:
        if self._is_worker:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._forking.mask)

    def _on_child(self) -> None:
        if not self._is_worker:
            return
        try:
            self._fds.add(signal.set_wakeup_fd(-1))
            reset_loop_handlers()
            forget_channel_of_this_process()
            self._replace_descriptors()
            if self._inbox is not None:
                self._inbox.status.detach()
        finally:
            self._restore_signals()
            # What the child forks in its turn is not ours to touch: the numbers may be the app's by then.
            self._is_worker = False

    def _replace_descriptors(self) -> None:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in {*self._fds, orphan_guard_fd()} - {-1}:
            replace(fd, nothing)
        for fd in self._inbox.connection_fds if self._inbox is not None else ():
            if is_socket(fd):
                replace(fd, nothing)
        os.close(nothing)
        self._replace_epolls()

    def _replace_epolls(self) -> None:
        # The kernel's list of what is watched is shared: a descriptor that the child closes would leave it.
        loop_fds = [backend_fd(self._loop)] if self._loop is not None else []
        with epoll() as empty:
            for fd in (*loop_fds, *self._epoll_fds):
                replace(fd, empty.fileno())


def reset_loop_handlers() -> None:
    """Give every signal that an event loop of the parent handles its default: no loop runs in a forked child."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        # functools.partial, as asyncio.Runner uses it for SIGINT, has its function inside.
        module = getattr(getattr(handler, "func", handler), "__module__", None) or ""
        if callable(handler) and module.startswith(LOOP_MODULES):
            signal.signal(number, PYTHON_DEFAULTS.get(signal.Signals(number), signal.SIG_DFL))


def replace(fd: int, other: int) -> None:
    """Let `fd` be another descriptor of what `other` is. The old one is closed."""
    os.dup2(other, fd, inheritable=False)


def is_socket(fd: int) -> bool:
    """Say whether `fd` is a socket; one that was closed a moment ago, and is something else by now, may not be."""
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def backend_fd(loop: asyncio.AbstractEventLoop) -> int:
    """Return the epoll descriptor of uvloop's or asyncio's own loop; it stays the loop's."""
    backend_id = getattr(loop, "_get_backend_id", None)  # uvloop's
    fd: int = backend_id() if backend_id is not None else loop._selector.fileno()  # type: ignore[attr-defined]
    return fd
