"""Owns whom the kernel ends first when memory runs out (oom_score_adj, proc(5)). Runs in the supervisor process.

A worker comes back within a second, and its end costs the requests that it has; the end of supervisor or dispatcher
costs more. All is relative to what the supervisor was started with, which is what the administrator wants of the app.
It must never fail a start: where the kernel refuses, scores stay as they are.
"""

import contextlib
from pathlib import Path

LOWEST, HIGHEST = -1000, 1000
# A fifth of the memory: more than supervisor and dispatcher use, however little the machine or container has.
WORKERS_RAISED_BY = 200
OURS_LOWERED_BY = 500


def lower_own_score() -> int:
    """Lower our own score, which the dispatcher inherits, where that is allowed; return what workers are to have.

    It is allowed with CAP_SYS_RESOURCE, and down to what a privileged process last set.
    """
    own = Path("/proc/self/oom_score_adj")
    try:
        inherited = int(own.read_text())
    except (OSError, ValueError):
        inherited = 0
    with contextlib.suppress(OSError):
        # Not the lowest: nothing but memory that we use ourselves would end us then, and it is better ended.
        own.write_text(str(min(max(inherited - OURS_LOWERED_BY, LOWEST + 1), inherited)))
    return min(inherited + WORKERS_RAISED_BY, HIGHEST)


def base_of(worker_score: int) -> int:
    """Return the score that a supervisor was started with whose workers have `worker_score`."""
    return worker_score - WORKERS_RAISED_BY


def set_score(pid: int, score: int) -> None:
    """Set the score of a process of ours, and so of what it starts from now on; nothing happens where that fails."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(score))
