"""Owns the dispatcher process: there is always one, and it knows what we want. Runs in the supervisor.

What is wanted is kept here (listeners, workers, who is admitted and who drains); a dispatcher that died or
hangs is replaced by one that is told all of it, on the same listeners, while workers go on. Its successor is
started only after its end is certain, so that two never read the same channels. It decides nothing about
workers.
"""

import asyncio
import errno
import os
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...lb.command import (
    ChannelHistory,
    CommandName,
    DispatcherEvent,
    EventName,
    Policy,
    WorkerKind,
    encode_command,
    encode_configure,
    encode_send,
    encode_serve,
)
from ...lb.page import DispatcherPageView, create_dispatcher_page
from ..errors import StartFailed
from ..output.event_log import EventLog
from ..processes.backoff import grown_delay
from ..processes.hang import AnswerWatch
from ..processes.reaper import ExitStatus, Reaper, kill_group
from ..processes.spawn import SpawnedProcess, SpawnError, SpawnPlan, spawn
from ..settings.app_config import AppConfig
from ..sockets.listeners import BoundListener
from .link import DispatcherLink
from .wanted import DispatchedWorker, Stage, tell_stage, tell_worker

if TYPE_CHECKING:
    from ...lb.page import DispatcherCounters, SlotCounters  # names of the stub only

PING_TIMEOUT = 5.0
CONFIGURE_TIMEOUT = 10.0
FIRST_RESPAWN_DELAY = 0.05
# As in lb/connection.pxd: position = epoch << shift | connections sent in this epoch.
POSITION_EPOCH_SHIFT = 40
POLICIES = {
    "round-robin": Policy.ROUND_ROBIN,
    "least-connections": Policy.LEAST_CONNECTIONS,
    "ip-hash": Policy.IP_HASH,
}
# Of commands to a worker that is not there any more.
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ESTALE)
TO_NODE_WORKERS = (CommandName.SEND, CommandName.SERVE, CommandName.PROBE)
SUMMED = ("accepted", "dispatched", "redispatched", "unsticky", "send_failures", "dropped")


@dataclass
class Dispatcher:
    """One dispatcher process. Owns `link`, `page_fd` and the process's pidfd."""

    process: SpawnedProcess
    link: DispatcherLink
    page_fd: int
    page: DispatcherPageView
    answers: AnswerWatch
    is_configured: bool = False

    def close(self) -> None:
        """Close everything; the process must have been reaped."""
        self.link.close()
        os.close(self.page_fd)
        os.close(self.process.pidfd)


class DispatcherKeeper:
    """Keeps one dispatcher for the app.

    Args:
        config: for policy and hand-over timeout.
        listeners: borrowed.
        reaper, log: borrowed.
        on_event: is told every event about workers; of a line that a Node worker wrote only when it is whole.

    `on_replaced`, if set, is called when another dispatcher has been told everything.
    """

    def __init__(
        self,
        config: AppConfig,
        listeners: Sequence[BoundListener],
        reaper: Reaper,
        log: EventLog,
        on_event: Callable[[DispatcherEvent], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._listeners = listeners
        self._reaper = reaper
        self._log = log
        self._on_worker_event = on_event
        self._wakeup_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.on_replaced: Callable[[], None] | None = None
        self._workers: dict[int, DispatchedWorker] = {}  # by slot
        self._unfinished_lines: dict[int, list[bytes]] = {}  # of Node workers, by slot
        # Workers that died while there was no dispatcher; owns their descriptors.
        self._dead: list[DispatchedWorker] = []
        self._dispatcher: Dispatcher | None = None
        self._configured: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()
        self._respawn: asyncio.TimerHandle | None = None
        self._epoch = 0
        self._failures = 0
        self._is_quitting = False
        self._sums = dict.fromkeys(SUMMED, 0)
        self.replaced = 0

    @property
    def wakeup_fd(self) -> int:
        """The eventfd by which workers wake the dispatcher; borrowed."""
        return self._wakeup_fd

    @property
    def pid(self) -> int | None:
        """Process id of the dispatcher, None between two."""
        return self._dispatcher.process.pid if self._dispatcher else None

    async def start(self) -> None:
        """Start the first dispatcher and wait until it is configured.

        Raises:
            StartFailed: it did not come up.
        """
        self._configured = self._loop.create_future()
        try:
            self._spawn()
            async with asyncio.timeout(CONFIGURE_TIMEOUT):
                await self._configured
        except SpawnError as error:
            raise StartFailed(f"the dispatcher did not start: {error.message}") from error
        except TimeoutError as error:
            raise StartFailed(f"the dispatcher did not answer within {CONFIGURE_TIMEOUT:g} s") from error
        finally:
            self._configured = None

    def add(self, worker: DispatchedWorker) -> None:
        """Make a worker known; it gets no connections yet."""
        self._workers[worker.slot] = worker
        if self._dispatcher:
            tell_worker(self._dispatcher.link, worker)

    def admit(self, slot: int, baseline: int = 0) -> None:
        """Bring a worker into the policy; `baseline` as in DispatchedWorker."""
        worker = replace(self._workers[slot], stage=Stage.ADMITTED, baseline=baseline)
        self._workers[slot] = worker
        if self._dispatcher:
            tell_stage(self._dispatcher.link, worker)

    def drain(self, slot: int, *, leaves_by_itself: bool = False) -> None:
        """Take a worker out of the policy and tell it that nothing more comes."""
        worker = self._workers[slot]
        if worker.stage is Stage.DRAINING:
            return
        worker = replace(worker, stage=Stage.DRAINING, leaves_by_itself=leaves_by_itself)
        self._workers[slot] = worker
        if self._dispatcher:
            tell_stage(self._dispatcher.link, worker)

    def remove(self, slot: int) -> None:
        """Forget a worker that has exited; what it has not taken goes to others."""
        worker = self._workers.pop(slot, None)
        self._unfinished_lines.pop(slot, None)
        if worker and self._dispatcher:
            self._send(CommandName.REMOVE, worker.slot, worker.incarnation)
        elif worker and worker.kind is WorkerKind.PYTHON and not self._is_quitting:
            # Its connections wait for the next dispatcher; the descriptors are about to be closed.
            self._dead.append(replace(worker, fds=tuple(os.dup(fd) for fd in worker.fds)))

    def serve(self, slot: int, listeners: int) -> None:
        """Say whose connections a Node worker may get, a mask."""
        worker = replace(self._workers[slot], listeners=listeners)
        self._workers[slot] = worker
        if self._dispatcher:
            self._dispatcher.link.send(encode_serve(slot, worker.incarnation, listeners))

    def say(self, slot: int, line: bytes, fds: Sequence[int] = ()) -> bool:
        """Write a line to a Node worker, with at most one borrowed descriptor; False: there is no dispatcher now.

        Raises:
            ValueError: it is too long.
        """
        command = encode_send(slot, self._workers[slot].incarnation, line)
        if self._dispatcher:
            self._dispatcher.link.send(command, fds)
        return self._dispatcher is not None

    def probe(self, slot: int) -> None:
        """Ask a Node worker for a sign of life, unless it owes one."""
        self._send(CommandName.PROBE, slot, self._workers[slot].incarnation)

    def add_listener(self, listener: BoundListener) -> None:
        """Accept from a listener that has come to the list."""
        if self._dispatcher:
            self._tell_listener(self._dispatcher.link, listener)

    def remove_listener(self, listener: BoundListener) -> None:
        """Accept no more from a listener that leaves the list."""
        self._send(CommandName.REMOVE_LISTENER, listener.listener_id)

    def knows(self, slot: int) -> bool:
        """Whether the worker in this slot is served by a dispatcher, now or as soon as there is one again."""
        return slot in self._workers and not self._is_quitting

    @property
    def is_attentive(self) -> bool:
        """Whether there is a dispatcher, which has answered since the last `check`: it knows who is silent."""
        dispatcher = self._dispatcher
        return dispatcher is not None and dispatcher.is_configured and not dispatcher.answers.is_late

    def check(self, elapsed: float) -> None:
        """Ask for a sign of life; kill one that owes it for too long. `elapsed`: attended seconds."""
        dispatcher = self._dispatcher
        if dispatcher is None:
            return
        if dispatcher.answers.is_overdue(elapsed):
            self._log.error("dispatcher_hung", pid=dispatcher.process.pid, timeout=PING_TIMEOUT)
            self.kill()
        token = dispatcher.answers.next_question()
        if token is not None:
            dispatcher.link.send(encode_command(CommandName.PING, token=token))

    async def quit(self, timeout: float) -> None:
        """Let it hand over what it holds and exit; kill it after `timeout` seconds. No successor follows."""
        self._is_quitting = True
        if self._respawn:
            self._respawn.cancel()
        if self._dispatcher is None:
            return
        self._send(CommandName.QUIT)
        try:
            async with asyncio.timeout(timeout):
                await self._gone.wait()
        except TimeoutError:
            self.kill()
            await self._gone.wait()

    def kill(self) -> None:
        """End it at once, if there is one; unless it was told to quit, another takes its place."""
        if self._dispatcher:
            kill_group(self._dispatcher.process.pid, self._dispatcher.process.pidfd)

    def close(self) -> None:
        """Close the wake-up; the dispatcher must have quit. May be called twice."""
        self._forget_dead()
        fd, self._wakeup_fd = self._wakeup_fd, -1
        if fd >= 0:
            os.close(fd)

    def untaken(self, slot: int, position: int) -> int:
        """Connections that lie in the channel of the worker in `slot`; `position` is from its page.

        The dispatcher's own figure is as old as its last wake-up; what the worker has taken since is newer.
        """
        if self._dispatcher is None or slot not in self._workers:
            return 0
        row = self._dispatcher.page.read_slot(slot)
        if row["incarnation"] != self._workers[slot].incarnation:
            return 0
        epoch, taken = divmod(position, 1 << POSITION_EPOCH_SHIFT)
        return max(min(row["untaken"], row["sent"] - (taken if epoch == self._epoch else 0)), 0)

    def slot_counters(self, slot: int) -> "SlotCounters | None":
        """What the dispatcher knows of the worker in this slot; None without one."""
        if self._dispatcher is None or slot not in self._workers:
            return None
        row = self._dispatcher.page.read_slot(slot)
        return row if row["incarnation"] == self._workers[slot].incarnation else None

    def counters(self) -> dict[str, object]:
        """The dispatcher's counters; totals include those of its predecessors."""
        known: dict[str, object] = {"pid": self.pid, "replaced": self.replaced, **self._sums}
        if self._dispatcher:
            now = self._dispatcher.page.read()
            known |= now
            known |= {name: self._sums[name] + _count(now, name) for name in SUMMED}
        return known

    def _spawn(self) -> None:
        self._respawn = None
        self._gone.clear()
        self._epoch += 1
        page_fd = create_dispatcher_page()
        try:
            process, ours = _spawn_dispatcher()
        except SpawnError:
            os.close(page_fd)
            raise
        link = DispatcherLink(self._loop, ours, self._on_event)
        self._dispatcher = Dispatcher(
            process, link, page_fd, DispatcherPageView(page_fd), AnswerWatch(PING_TIMEOUT)
        )
        self._reaper.watch(process.pid, process.pidfd, self._on_exit)
        self._tell_everything(link, page_fd)

    def _tell_everything(self, link: DispatcherLink, page_fd: int) -> None:
        handover_timeout_ns = int(self._config.handover_timeout * 1e9)
        configure = encode_configure(self._epoch, POLICIES[self._config.balance], handover_timeout_ns)
        link.send(configure, (page_fd, self._wakeup_fd))
        # Workers first: connections that wait are handed over by the policy, not all to the first worker.
        for worker in self._workers.values():
            tell_worker(link, worker)
            tell_stage(link, worker)
        for worker in self._dead:
            tell_worker(link, worker)
            link.send(encode_command(CommandName.REMOVE, worker.slot, worker.incarnation))
        self._forget_dead()
        for listener in self._listeners:
            self._tell_listener(link, listener)
        if self.on_replaced:
            self.on_replaced()

    def _forget_dead(self) -> None:
        for worker in self._dead:
            for fd in worker.fds:
                os.close(fd)
        self._dead.clear()

    def _tell_listener(self, link: DispatcherLink, listener: BoundListener) -> None:
        command = encode_command(CommandName.ADD_LISTENER, slot=listener.listener_id, flags=listener.key)
        link.send(command, (listener.socket.fileno(),))

    def _send(self, name: CommandName, slot: int = 0, token: int = 0) -> None:
        if self._dispatcher:
            self._dispatcher.link.send(encode_command(name, slot, token))

    def _on_event(self, event: DispatcherEvent) -> None:
        """One event that cannot be dealt with must not keep the others, or a successor, from coming."""
        try:
            self._take_event(event)
        except Exception:  # noqa: BLE001 - whatever a worker has made us stumble over
            self._log.error("event_failed", kind=event.name.name, slot=event.slot, traceback=traceback.format_exc())

    def _take_event(self, event: DispatcherEvent) -> None:
        dispatcher = self._dispatcher
        if dispatcher is None:
            return
        match event.name:
            case EventName.CONFIGURED:
                dispatcher.is_configured, self._failures = True, 0
                self._log.info("dispatcher_ready", pid=dispatcher.process.pid, epoch=event.token)
                if self._configured and not self._configured.done():
                    self._configured.set_result(None)
            case EventName.PONG:
                dispatcher.answers.answered(event.token)
            case EventName.LISTENER_ERROR:
                reason = os.strerror(event.error)
                self._log.warning("accept_failed", listener=event.slot, reason=reason, errors=event.value)
            case EventName.REJECTED if event.error in GONE and event.value in TO_NODE_WORKERS:
                pass  # it died, or closed its channel, before it could be told
            case EventName.REJECTED:
                reason = os.strerror(event.error)
                self._log.error("command_rejected", slot=event.slot, kind=event.value, reason=reason)
            case EventName.WORKER_MESSAGE:
                self._on_message_part(event)
            case _:
                self._on_worker_event(event)

    def _on_message_part(self, event: DispatcherEvent) -> None:
        parts = self._unfinished_lines.setdefault(event.slot, [])
        parts.append(event.text)
        if not event.value:
            del self._unfinished_lines[event.slot]
            self._on_worker_event(event._replace(text=b"".join(parts)))

    def _remember_channels(self, page: DispatcherPageView) -> None:
        """What the dead one did on the channels of Node workers, its successor must know."""
        for slot, worker in self._workers.items():
            row = page.read_slot(slot)
            if worker.kind is WorkerKind.NODE and row["incarnation"] == worker.incarnation:
                history = ChannelHistory(row["unanswered"], row["history"])
                self._workers[slot] = replace(worker, history=history)
        self._unfinished_lines.clear()

    def _on_exit(self, status: ExitStatus) -> None:
        if self._dispatcher:
            self._dispatcher.link.take_last_words()
        dispatcher, self._dispatcher = self._dispatcher, None
        assert dispatcher is not None
        self._remember_channels(dispatcher.page)
        self._sums = {name: self._sums[name] + _count(dispatcher.page.read(), name) for name in SUMMED}
        dispatcher.close()
        self._gone.set()
        if self._is_quitting:
            return
        self._log.error("dispatcher_died", pid=dispatcher.process.pid, reason=status)
        if self._configured and not self._configured.done():
            self._configured.set_exception(StartFailed(f"the dispatcher {status} before it was ready"))
            return
        self._replace_after(0.0 if dispatcher.is_configured else self._next_delay())

    def _replace_after(self, delay: float) -> None:
        self.replaced += 1
        self._respawn = self._loop.call_later(delay, self._replace)

    def _next_delay(self) -> float:
        self._failures += 1
        return grown_delay(FIRST_RESPAWN_DELAY, self._failures)

    def _replace(self) -> None:
        try:
            self._spawn()
        except SpawnError as error:
            self._log.error("dispatcher_not_started", reason=error.message)
            self._respawn = self._loop.call_later(self._next_delay(), self._replace)


def _spawn_dispatcher() -> tuple[SpawnedProcess, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    # -P: a file of the app must not shadow a module of ours.
    command = [sys.executable, "-P", "-m", "fastlb.lb", str(theirs.fileno())]
    with theirs:
        try:
            return spawn(SpawnPlan(command, pass_fds=(theirs.fileno(),), stdout_fd=2)), ours
        except SpawnError:
            ours.close()
            raise


def _count(counters: "DispatcherCounters", name: str) -> int:
    value = counters[name]  # type: ignore[literal-required]
    return int(value)
