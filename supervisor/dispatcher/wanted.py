"""Owns what a dispatcher must know of one worker, and how it is told. Runs in the supervisor.

A record says what is wanted; any dispatcher, the first or a successor, is told all of it by the same functions.
"""

from dataclasses import dataclass
from enum import Enum, auto

from ...lb.command import (
    EVERY_LISTENER,
    ChannelHistory,
    CommandName,
    DrainFlag,
    WorkerBounds,
    WorkerKind,
    encode_add_node_worker,
    encode_add_worker,
    encode_command,
)
from .link import DispatcherLink

NO_HISTORY = ChannelHistory()


class Stage(Enum):
    """How far a worker is in the dispatcher's eyes."""

    ADDED = auto()  # known, and not in the policy
    ADMITTED = auto()
    DRAINING = auto()


@dataclass(frozen=True)
class DispatchedWorker:
    """What a dispatcher must know of a worker; `fds` are borrowed, in the order of ADD_WORKER.

    Attributes:
        hash_key: what ip-hash knows it by: a replacement of the same worker id keeps its clients.
        listeners: whose connections it may get, a mask.
        baseline: open descriptors of a Node worker that are no connections.
        leaves_by_itself: a Node worker that is not to be told to disconnect.
        history: what dead dispatchers left behind on a Node worker's channel.
    """

    slot: int
    incarnation: int
    bounds: WorkerBounds
    hash_key: int
    fds: tuple[int, ...]
    kind: WorkerKind = WorkerKind.PYTHON
    stage: Stage = Stage.ADDED
    listeners: int = EVERY_LISTENER
    baseline: int = 0
    leaves_by_itself: bool = False
    history: ChannelHistory = NO_HISTORY


def tell_worker(link: DispatcherLink, worker: DispatchedWorker) -> None:
    """ADD_WORKER, with its descriptors."""
    if worker.kind is WorkerKind.NODE:
        names = (worker.slot, worker.incarnation)
        command = encode_add_node_worker(
            *names, worker.bounds, worker.hash_key, worker.listeners, worker.history
        )
    else:
        command = encode_add_worker(worker.slot, worker.incarnation, worker.bounds, worker.hash_key)
    link.send(command, worker.fds)


def tell_stage(link: DispatcherLink, worker: DispatchedWorker) -> None:
    """ADMIT or DRAIN; nothing for one that is only known."""
    if worker.stage is Stage.ADMITTED:
        command = encode_command(CommandName.ADMIT, worker.slot, worker.incarnation, worker.baseline)
    elif worker.stage is Stage.DRAINING:
        flags = DrainFlag.SILENTLY if worker.leaves_by_itself else 0
        command = encode_command(CommandName.DRAIN, worker.slot, worker.incarnation, flags)
    else:
        return
    link.send(command)
