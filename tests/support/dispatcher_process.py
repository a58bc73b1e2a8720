"""Owns DispatcherProcess: drives a real dispatcher process over a real control socket, as a supervisor does.

Its teardown is part of every test: the process must be alive until told to go, hold exactly the descriptors
that it was given and no other, and exit with code 0.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from fastlb.lb.command import (
    LONGEST_EVENT_BYTES,
    DispatcherEvent,
    DrainWord,
    EventName,
    NewWorker,
    Policy,
    WorkerBounds,
    decode_event,
    encode_add_listener,
    encode_add_node_worker,
    encode_add_worker,
    encode_admit,
    encode_configure,
    encode_drain,
    encode_ping,
    encode_probe,
    encode_quit,
    encode_remove,
    encode_send,
    encode_serve,
    encode_withdraw,
)
from fastlb.lb.page import DispatcherPageView, create_dispatcher_page

from tests.support.channel_worker import UNBOUNDED, ChannelWorker
from tests.support.node_channel_worker import NODE_BOUNDS, NodeChannelWorker
from tests.support.waiting import scaled, wait_until

if TYPE_CHECKING:  # these types exist in the stub only
    from fastlb.lb.page import DispatcherCounters, SlotCounters

IMPORT_LOOP = "import sys; from fastlb.lb.dispatcher import run"
RUN_LOOP = "sys.exit(run(int(sys.argv[1])))"
NEVER_NS = 3600 * 10**9
OWN_DESCRIPTORS = 4  # epoll, control, timer, /proc/self/fd
DESCRIPTORS_PER_WORKER = 4  # channel, duplicate of the worker's end, pidfd, eventfd

AnyWorker = ChannelWorker | NodeChannelWorker


class DispatcherProcess:
    """A dispatcher process with its supervisor played by the test. A context manager.

    Args:
        policy: how it chooses.
        handover_timeout_ns: after this an untaken connection goes to another worker; default: never.
        epoch: number of this dispatcher among those of its app.
        configured: send CONFIGURE at once.
        before_run: Python source that the process runs before its loop (limits, user).
    """

    def __init__(
        self,
        policy: Policy = Policy.ROUND_ROBIN,
        handover_timeout_ns: int = NEVER_NS,
        epoch: int = 1,
        before_run: str = "",
        configured: bool = True,
    ) -> None:
        self.page_fd = create_dispatcher_page()
        self.page = DispatcherPageView(self.page_fd)
        self.workers: dict[int, AnyWorker] = {}
        self.listeners: dict[int, socket.socket] = {}
        self.events: list[DispatcherEvent] = []
        self.clients: list[socket.socket] = []
        self.configuration = (epoch, policy, handover_timeout_ns)
        self._start(before_run)
        if configured:
            self.configure()

    def _start(self, before_run: str) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(scaled(10))
        program = ["-m", "fastlb.lb"]
        if before_run:
            program = ["-c", f"{IMPORT_LOOP}\n{before_run}\n{RUN_LOOP}"]
        command = [sys.executable, *program, str(theirs.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()

    # -- the supervisor's side ---------------------------------------------------------------------------

    def configure(self) -> None:
        """Send CONFIGURE and wait for the answer."""
        self.send(encode_configure(*self.configuration), [self.page_fd])
        self.wait_event(EventName.CONFIGURED)

    def send(self, command: bytes, fds: list[int] | None = None) -> None:
        """Send a command, or any bytes, and descriptors on the control socket."""
        socket.send_fds(self.control, [command], fds or [])

    def ping(self, token: int = 77) -> None:
        """Wait until everything sent before has been carried out."""
        self.send(encode_ping(token))
        self.wait_event(EventName.PONG, ping_token=token)

    def next_event(self) -> DispatcherEvent:
        """Receive one event; fails when none comes."""
        event = decode_event(self.control.recv(LONGEST_EVENT_BYTES))
        self.events.append(event)
        return event

    def wait_event(self, name: EventName, **fields: int) -> DispatcherEvent:
        """Return the next event of this kind with these fields; others are kept in `events`."""
        while True:
            event = self.next_event()
            if event.name is name and all(getattr(event, key) == value for key, value in fields.items()):
                return event

    def listen(self, listener_id: int = 0, family: int = socket.AF_INET) -> socket.socket:
        """Bind a listener on a free loopback port and give it to the dispatcher."""
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        listener.listen(4096)
        self.give_listener(listener_id, listener)
        return listener

    def give_listener(self, listener_id: int, listener: socket.socket, *, refuses: bool = False) -> None:
        """ADD_LISTENER; the listener is closed at the end of the test. `refuses`: whoever connects is reset."""
        self.listeners[listener_id] = listener
        self.send(encode_add_listener(listener_id, refuses=refuses), [listener.fileno()])
        self.ping()

    def new_worker(
        self, slot: int, bounds: WorkerBounds = UNBOUNDED, incarnation: int = 0, hash_key: int | None = None
    ) -> ChannelWorker:
        """Make a worker and ADD it, without admitting it."""
        worker = ChannelWorker(slot, incarnation or 1000 + slot, bounds, hash_key)
        self.workers[slot] = worker
        self.add(worker)
        return worker

    def add(self, worker: AnyWorker) -> None:
        """ADD_WORKER."""
        new = NewWorker(worker.slot, worker.incarnation, worker.bounds, worker.hash_key)
        if isinstance(worker, NodeChannelWorker):
            command = encode_add_node_worker(new, worker.listeners, worker.history)
        else:
            command = encode_add_worker(new)
        self.send(command, worker.fds)

    def admit(self, *workers: AnyWorker, baseline: int = 0) -> None:
        """ADMIT, and wait until it is carried out; `baseline`: descriptors of a Node worker that are no connections."""
        for worker in workers:
            self.send(encode_admit(worker.slot, worker.incarnation, baseline))
        self.ping()

    def withdraw(self, worker: AnyWorker) -> None:
        """WITHDRAW, and wait until it is carried out."""
        self.send(encode_withdraw(worker.slot, worker.incarnation))
        self.ping()

    def start_workers(self, count: int, bounds: WorkerBounds = UNBOUNDED) -> list[ChannelWorker]:
        """Make, add and admit workers in slots 0..count-1."""
        workers = [self.new_worker(slot, bounds) for slot in range(count)]
        self.admit(*workers)
        return workers

    def drain(self, worker: AnyWorker, word: int = DrainWord.NOW) -> None:
        """DRAIN, without waiting."""
        self.send(encode_drain(worker.slot, worker.incarnation, word))

    def remove(self, worker: AnyWorker) -> None:
        """REMOVE, and wait until it is carried out; the worker is closed."""
        self.send(encode_remove(worker.slot, worker.incarnation))
        self.ping()
        del self.workers[worker.slot]
        worker.close()

    # -- Node workers ------------------------------------------------------------------------------------

    def add_node_worker(self, worker: NodeChannelWorker) -> None:
        """ADD a Node worker that the test has made; it is closed at the end of the test."""
        self.workers[worker.slot] = worker
        self.add(worker)

    def start_node_workers(self, count: int, bounds: WorkerBounds = NODE_BOUNDS) -> list[NodeChannelWorker]:
        """Make, add and admit Node workers in slots 0..count-1."""
        workers = [NodeChannelWorker(slot, 1000 + slot, bounds) for slot in range(count)]
        for worker in workers:
            self.add_node_worker(worker)
        self.admit(*workers)
        return workers

    def serve(self, worker: NodeChannelWorker, listeners: int) -> None:
        """SERVE, and wait until it is carried out."""
        self.send(encode_serve(worker.slot, worker.incarnation, listeners))
        self.ping()

    def send_line(self, worker: NodeChannelWorker, line: bytes, fd: int = -1) -> None:
        """SEND a line (without its newline), with a descriptor if one is given."""
        command = encode_send(worker.slot, worker.incarnation, line + b"\n")
        self.send(command, [fd] if fd >= 0 else [])

    def probe(self, worker: NodeChannelWorker) -> None:
        """PROBE, and wait until it is carried out."""
        self.send(encode_probe(worker.slot, worker.incarnation))
        self.ping()

    def next_message(self) -> bytes:
        """Return the next line that a Node worker wrote, put together from its parts."""
        text = b""
        while True:
            event = self.wait_event(EventName.WORKER_MESSAGE)
            text += event.text
            if not event.goes_on:
                return text

    # -- clients and figures -------------------------------------------------------------------------------

    def connect(self, listener_id: int = 0, count: int = 1) -> list[socket.socket]:
        """Connect clients; they are closed at the end of the test."""
        address = self.listeners[listener_id].getsockname()
        clients = [socket.create_connection(address[:2], timeout=scaled(10)) for _ in range(count)]
        self.clients += clients
        return clients

    def counters(self) -> DispatcherCounters:
        """The dispatcher's totals."""
        return self.page.read()

    def slot(self, worker: AnyWorker) -> SlotCounters:
        """The dispatcher's figures of one worker."""
        return self.page.read_slot(worker.slot)

    def wait_dispatched(self, count: int) -> None:
        """Wait until this many connections were handed over in all."""
        wait_until(lambda: self.counters()["dispatched"] >= count, f"{count} connections handed over")
        assert self.counters()["dispatched"] == count

    def wait_quiet(self) -> int:
        """Wait until it sleeps without a timer that is about to fire; return its wake-ups so far."""
        wakeups = -1
        while wakeups != (wakeups := self.counters()["wakeups"]):
            self.assert_silent(0.05)
        return wakeups

    def assert_silent(self, seconds: float) -> None:
        """Give it time in which it could say something, and must not."""
        readable, _, _ = select.select([self.control], [], [], seconds)
        assert not readable

    def cpu_seconds(self) -> float:
        """User and system time of the dispatcher process so far."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> dict[int, str]:
        """The process's open descriptors besides stdin, stdout, stderr, and what they are."""
        folder = f"/proc/{self.process.pid}/fd"
        found: dict[int, str] = {}
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                found[int(name)] = os.readlink(f"{folder}/{name}")
        return {fd: target for fd, target in found.items() if fd > 2}

    def expected_descriptors(self) -> int:
        """How many it should have: its own, what it was given, and connections that are still its own too."""
        of_node = [len(worker.fds) for worker in self.workers.values() if isinstance(worker, NodeChannelWorker)]
        of_workers = sum(of_node) + DESCRIPTORS_PER_WORKER * (len(self.workers) - len(of_node))
        given = len(self.listeners) + of_workers
        waiting = self.counters()["held"] + self.counters()["openings"]
        return OWN_DESCRIPTORS + given + waiting + self.expected_copies()

    def expected_copies(self) -> int:
        """How many connections Node workers have been sent and neither accepted nor given back."""
        copies = 0
        for worker in self.workers.values():
            if isinstance(worker, NodeChannelWorker):
                row = self.slot(worker)
                accepted = [seq for seq in worker.accepted if seq >> 32 == self.configuration[0]]
                copies += row["sent"] - row["taken_back"] - len(accepted)
        return copies

    # -- end ---------------------------------------------------------------------------------------------

    def check_descriptors(self) -> None:
        """Assert that it owns what it was given and not one descriptor more."""
        self.ping()
        found, expected = self.descriptors(), self.expected_descriptors()
        assert len(found) == expected, f"{len(found)} descriptors, expected {expected}: {found}"
        owned = self.counters()["open_fds"]  # 0 unless it is the debug build
        assert owned in (0, expected)

    def check_balance(self) -> None:
        """Assert that every connection was handed over as often as it came, or is held."""
        totals = self.counters()
        arrived = totals["accepted"] + totals["redispatched"]
        refused = totals["proxy_untrusted"] + totals["proxy_malformed"] + totals["proxy_late"]
        closed = totals["dropped"] + refused
        assert arrived == totals["dispatched"] + totals["held"] + totals["openings"] + closed, totals

    def quit(self) -> int:
        """Say QUIT and return the exit code."""
        self.send(encode_quit())
        return self.process.wait(timeout=scaled(10))

    def close(self) -> None:
        """End the process, whatever its state, and close what is ours."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.control.close()
        for client in self.clients:
            client.close()
        for worker in self.workers.values():
            worker.close()
        for listener in self.listeners.values():
            listener.close()
        os.close(self.page_fd)

    def __enter__(self) -> DispatcherProcess:
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self.process.poll() is None:
                self.check_descriptors()
                self.check_balance()
                assert self.quit() == 0
        finally:
            self.close()
