"""Owns the actions that every Python worker has.

Runs in workers, in the thread of the action. What one needs is imported when it is asked for.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

SHORTEST, USUAL, LONGEST = 1.0, 10.0, 300.0


@dataclass(frozen=True)
class BuiltinCall:
    """What such an action is given.

    Attributes:
        param: as it was typed; None: nothing.
        file_fd: of an empty file that it may write; None: it has none.
        our_threads: identifiers of the threads that run actions, which are shown nowhere.
    """

    param: str | None
    file_fd: int | None
    our_threads: Collection[int]


def stacks(call: BuiltinCall) -> str:
    """Where every thread and every asyncio task stands."""
    from .stacks import all_stacks

    refuse_param(call)
    return all_stacks(call.our_threads)


def heap(call: BuiltinCall) -> str:
    """Which lines have allocated the memory that is in use, and what has grown since the last call."""
    from .heap import heap_report

    return heap_report(call.param)


def collect_garbage(call: BuiltinCall) -> str:
    """Run the collector of reference cycles."""
    import gc

    refuse_param(call)
    tracked = len(gc.get_objects())
    unreachable = gc.collect()
    left = len(gc.get_objects())
    return f"collected {unreachable} unreachable objects; {tracked} were tracked before, {left} are now"


def profile(call: BuiltinCall) -> str:
    """What uses the processor, as a flame graph."""
    from .flame_graph import flame_graph
    from .profile import sample

    seconds = seconds_in(call.param)
    if call.file_fd is None:
        raise ValueError("no file came along for the flame graph")
    found = sample(seconds, call.our_threads)
    write_all(call.file_fd, flame_graph(found).encode())
    busy = f"{found.cpu_seconds:.2f} s of processor time in {found.samples} samples"
    return f"{busy}, within {seconds:g} s; {found.hottest()}"


BUILTIN: dict[str, Callable[[BuiltinCall], str]] = {
    "stacks": stacks,
    "heap": heap,
    "gc": collect_garbage,
    "profile": profile,
}


def refuse_param(call: BuiltinCall) -> None:
    """Raise ValueError when there is a parameter."""
    if call.param is not None:
        raise ValueError("it takes no parameter")


def seconds_in(param: str | None) -> float:
    """Return how long something is to last. Raises ValueError."""
    try:
        seconds = USUAL if param is None else float(param)
    except ValueError:
        seconds = 0.0
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError(f"{param!r} must be seconds, from {SHORTEST:g} to {LONGEST:g}")
    return seconds


def write_all(fd: int, content: bytes) -> None:
    """Write all of it. Raises OSError."""
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
