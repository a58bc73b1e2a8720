"""Owns the action `heap`: what Python's own tracemalloc says of the memory in use.

Runs in workers, in the thread of an action. Nothing is traced until somebody asks for the first time.
"""

import tracemalloc
from _thread import allocate_lock
from pathlib import Path

MOST_LINES = 20
MIB = 1 << 20
BEGUN = (
    "tracing of allocations has begun: until `heap stop` it costs memory, and much time where much is allocated; the"
    " next `heap` shows what is allocated from now on"
)

_last: list[tracemalloc.Snapshot] = []
_using = allocate_lock()


def heap_report(param: str | None) -> str:
    """Begin to trace, or say what is in use and what has grown since the last call; "stop" ends it.

    Raises:
        ValueError: another parameter.
    """
    if param not in (None, "stop"):
        raise ValueError(f"{param!r} is not known: nothing, or stop")
    with _using:
        if param == "stop":
            tracemalloc.stop()
            _last.clear()
            return "allocations are not traced any more"
        if not tracemalloc.is_tracing():
            tracemalloc.start()
            _last[:] = [snapshot_now()]
            return BEGUN
        return compare()


def snapshot_now() -> tracemalloc.Snapshot:
    """Return what is traced now, without what tracing itself uses."""
    left_out = (tracemalloc.__file__, str(Path(__file__).with_name("*")))
    return tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pattern) for pattern in left_out])


def compare() -> str:
    """Return the largest users of memory, and those that have grown most since the last snapshot, which is replaced."""
    now = snapshot_now()
    traced, peak = tracemalloc.get_traced_memory()
    lines = [f"{traced / MIB:.1f} MiB traced, {peak / MIB:.1f} MiB at most, in use by line:"]
    lines += [f"  {stat}" for stat in now.statistics("lineno")[:MOST_LINES]]
    if _last:
        grown = sorted(now.compare_to(_last[0], "lineno"), key=lambda stat: -stat.size_diff)
        lines += ["grown since the last call:"]
        lines += [f"  {stat}" for stat in grown[:MOST_LINES] if stat.size_diff > 0] or ["  nothing"]
    _last[:] = [now]
    return "\n".join(lines)
