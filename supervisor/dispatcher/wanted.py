"""Owns the state that is wanted of a dispatcher: which workers and listeners it has, who is admitted, who drains.

Runs in the supervisor. What is wanted outlives any dispatcher: the present one is told each change, a successor
all of it, by the same functions. It must never decide what is wanted, and never start a process.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from ...lb.command import (
    EVERY_LISTENER,
    ChannelHistory,
    DispatcherEvent,
    DrainWord,
    NewWorker,
    WorkerBounds,
    encode_add_listener,
    encode_add_node_worker,
    encode_add_worker,
    encode_admit,
    encode_drain,
    encode_remove,
    encode_remove_listener,
    encode_serve,
    encode_withdraw,
)
from ...lb.page import DispatcherPageView
from ..sockets.listeners import BoundListener
from .link import DispatcherLink

NO_HISTORY = ChannelHistory()
NODE_WORKER_FDS = 3  # the duplicate of its end, which may follow, is closed when it drains


class WorkerKind(Enum):
    """What a worker's channel speaks: ours (lb/connection.pxd), or Node's (lb/node/wire.pxd)."""

    PYTHON = auto()
    NODE = auto()


class Membership(Enum):
    """Whether a worker is in the policy."""

    ADDED = auto()  # known, and not in the policy
    ADMITTED = auto()
    DRAINING = auto()


@dataclass(frozen=True)
class DispatchedWorker:
    """A worker as a dispatcher must know it; `fds` are borrowed, in the order of ADD_WORKER.

    Attributes:
        hash_key: what ip-hash knows it by: a replacement of the same worker id keeps its clients.
        listeners: those whose connections it may get, a mask.
        baseline: open descriptors of a Node worker that are no connections.
        drain_word: when a Node worker that drains is told to disconnect.
        history: what dead dispatchers left behind on a Node worker's channel.
        on_event: is called with what a dispatcher says of it.
    """

    slot: int
    incarnation: int
    bounds: WorkerBounds
    hash_key: int
    fds: tuple[int, ...]
    on_event: Callable[[DispatcherEvent], None]
    kind: WorkerKind = WorkerKind.PYTHON
    membership: Membership = Membership.ADDED
    listeners: int = EVERY_LISTENER
    baseline: int = 0
    drain_word: DrainWord = DrainWord.NOW
    history: ChannelHistory = NO_HISTORY


class WantedState:
    """Workers and listeners of an app, as its dispatcher is to have them.

    `listeners` is borrowed: whoever changes the list calls `add_listener` or `remove_listener` as well.
    """

    def __init__(self, listeners: Sequence[BoundListener]) -> None:
        self._listeners = listeners
        self._workers: dict[int, DispatchedWorker] = {}  # by slot
        # Workers that died while there was no dispatcher; owns their descriptors.
        self._dead: list[DispatchedWorker] = []
        self._link: DispatcherLink | None = None
        self._refuses = False
        self._is_ending = False

    @property
    def listeners(self) -> Sequence[BoundListener]:
        """The listeners of the app, borrowed."""
        return self._listeners

    @property
    def link(self) -> DispatcherLink | None:
        """The channel of the present dispatcher, borrowed; None between two."""
        return self._link

    def add(self, worker: DispatchedWorker) -> None:
        """Make a worker known; it gets no connections yet."""
        self._workers[worker.slot] = worker
        if self._link:
            send_worker(self._link, worker)

    def admit(self, slot: int, baseline: int = 0) -> None:
        """Bring a worker into the policy; `baseline` as in DispatchedWorker."""
        self._change_membership(replace(self._workers[slot], membership=Membership.ADMITTED, baseline=baseline))

    def withdraw(self, slot: int) -> None:
        """Take a worker out of the policy until it is admitted again; one that drains goes on doing so."""
        worker = self._workers[slot]
        if worker.membership is Membership.ADMITTED:
            self._workers[slot] = replace(worker, membership=Membership.ADDED)
            if self._link:
                self._link.send(encode_withdraw(slot, worker.incarnation))

    def drain(self, slot: int, word: DrainWord = DrainWord.NOW) -> None:
        """Take a worker out of the policy and tell it that nothing more comes; a Node worker when `word` says.

        One that is to be told later can be drained once more, to tell it. Otherwise nothing happens the second time.
        """
        worker = self._workers[slot]
        if worker.membership is not Membership.DRAINING or worker.drain_word is DrainWord.LATER:
            # Nothing is taken back from a Node worker that drains: it has to be seen when it closes its channel.
            fds = worker.fds[:NODE_WORKER_FDS] if worker.kind is WorkerKind.NODE else worker.fds
            self._change_membership(replace(worker, membership=Membership.DRAINING, drain_word=word, fds=fds))

    def remove(self, slot: int) -> None:
        """Forget a worker that has exited; what it has not taken goes to others."""
        worker = self._workers.pop(slot, None)
        if worker and self._link:
            self._link.send(encode_remove(worker.slot, worker.incarnation))
        elif worker and worker.kind is WorkerKind.PYTHON and not self._is_ending:
            # Its connections wait for the next dispatcher; the descriptors are about to be closed.
            self._keep_dead(worker)

    def serve(self, slot: int, listeners: int) -> None:
        """Set the listeners whose connections a Node worker may get, a mask."""
        worker = replace(self._workers[slot], listeners=listeners)
        self._workers[slot] = worker
        if self._link:
            self._link.send(encode_serve(slot, worker.incarnation, listeners))

    def add_listener(self, listener: BoundListener) -> None:
        """Accept from a listener that has come to the list."""
        if self._link:
            self._send_listener(self._link, listener)

    def remove_listener(self, listener: BoundListener) -> None:
        """Accept no more from a listener that leaves the list."""
        if self._link:
            self._link.send(encode_remove_listener(listener.listener_id))

    def refuse_clients(self, *, refuses: bool) -> None:
        """Accept nothing for workers, from any listener of the list, until called again with False.

        Whoever comes by an inherited listener meanwhile, which cannot be shut, is reset by the dispatcher.
        """
        self._refuses = refuses
        for listener in self._listeners:
            self.remove_listener(listener)
            self.add_listener(listener)

    def knows(self, slot: int) -> bool:
        """Whether the worker in this slot is served by a dispatcher, now or as soon as there is one again."""
        return slot in self._workers and not self._is_ending

    def incarnation_in(self, slot: int) -> int | None:
        """Number of the incarnation that is in a slot; None: there is none."""
        worker = self._workers.get(slot)
        return worker.incarnation if worker else None

    def worker_in(self, slot: int) -> DispatchedWorker | None:
        """Return what is wanted in a slot; None: nothing."""
        return self._workers.get(slot)

    def workers(self) -> list[DispatchedWorker]:
        """Return what is wanted of all workers."""
        return list(self._workers.values())

    def tell_again(self, slot: int) -> None:
        """Repeat everything about the worker in a slot."""
        worker = self._workers.get(slot)
        if worker and self._link:
            send_worker(self._link, worker)
            send_membership(self._link, worker)

    def deliver(self, event: DispatcherEvent) -> None:
        """Call the `on_event` of the worker that an event is about, unless it has gone meanwhile."""
        worker = self._workers.get(event.slot)
        if worker and worker.incarnation == event.incarnation:
            worker.on_event(event)

    def connect(self, link: DispatcherLink) -> None:
        """Tell a new dispatcher, which has been configured, everything; from here on every change as well."""
        self._link = link
        # Workers first: connections that wait are handed over by the policy, not all to the first worker.
        for worker in self._workers.values():
            send_worker(link, worker)
            send_membership(link, worker)
        for worker in self._dead:
            send_worker(link, worker)
            link.send(encode_remove(worker.slot, worker.incarnation))
        self._forget_dead()
        for listener in self._listeners:
            self._send_listener(link, listener)

    def disconnect(self, page: DispatcherPageView) -> None:
        """Keep what a dead dispatcher did on the channels of Node workers: its successor must know."""
        self._link = None
        for worker in list(self._node_workers()):
            row = page.read_slot(worker.slot)
            if row["incarnation"] == worker.incarnation:
                history = ChannelHistory(row["unanswered"], row["history"])
                self._workers[worker.slot] = replace(worker, history=history)

    def end(self) -> None:
        """No successor of the present dispatcher follows: nothing is kept for one."""
        self._is_ending = True

    def close(self) -> None:
        """Close what is held for a successor. May be called twice."""
        self._forget_dead()

    def _send_listener(self, link: DispatcherLink, listener: BoundListener) -> None:
        if listener.is_inherited or not self._refuses:
            send_listener(link, listener, refuses=self._refuses)

    def _change_membership(self, worker: DispatchedWorker) -> None:
        self._workers[worker.slot] = worker
        if self._link:
            send_membership(self._link, worker)

    def _node_workers(self) -> Iterator[DispatchedWorker]:
        return (worker for worker in self._workers.values() if worker.kind is WorkerKind.NODE)

    def _keep_dead(self, worker: DispatchedWorker) -> None:
        """Without descriptors to keep them by, the connections that it has not taken end with it."""
        fds: list[int] = []
        try:
            fds.extend(os.dup(fd) for fd in worker.fds)
        except OSError:
            for fd in fds:
                os.close(fd)
            return
        self._dead.append(replace(worker, fds=tuple(fds)))

    def _forget_dead(self) -> None:
        for worker in self._dead:
            for fd in worker.fds:
                os.close(fd)
        self._dead.clear()


def send_worker(link: DispatcherLink, worker: DispatchedWorker) -> None:
    """Send ADD_WORKER or ADD_NODE_WORKER, with its descriptors."""
    new = NewWorker(worker.slot, worker.incarnation, worker.bounds, worker.hash_key)
    if worker.kind is WorkerKind.NODE:
        command = encode_add_node_worker(new, worker.listeners, worker.history)
    else:
        command = encode_add_worker(new)
    link.send(command, worker.fds)


def send_membership(link: DispatcherLink, worker: DispatchedWorker) -> None:
    """Send ADMIT or DRAIN; nothing for a worker that is only known."""
    if worker.membership is Membership.ADMITTED:
        command = encode_admit(worker.slot, worker.incarnation, worker.baseline)
    elif worker.membership is Membership.DRAINING:
        command = encode_drain(worker.slot, worker.incarnation, worker.drain_word)
    else:
        return
    link.send(command)


def send_listener(link: DispatcherLink, listener: BoundListener, *, refuses: bool) -> None:
    """Send ADD_LISTENER, with its descriptor; `refuses`: whoever connects is to be reset."""
    command = encode_add_listener(listener.listener_id, listener.key, refuses)
    link.send(command, (listener.socket.fileno(),))
