"""Owns how much memory a worker uses: its process and all below it, read from /proc.

Runs in the supervisor process. It must stay cheap: it is asked every second for every worker.
"""

from collections.abc import Callable

from ..processes.tree import process_tree
from ..processes.usage import read_rss_bytes


def memory_bytes(pid: int, enough: int) -> int:
    """Return the memory of a process and of all its descendants; 0 when it is gone.

    A process alone: its resident memory, as `list` shows it (statm, microseconds). Processes that were forked share
    pages, so that the sum says too much: when it is above `enough`, the proportional set sizes are added up instead
    (smaps_rollup, milliseconds).
    """
    tree = process_tree(pid)
    resident = _sum(read_rss_bytes, tree)
    if resident <= enough or len(tree) == 1:
        return resident
    return _sum(read_pss_bytes, tree)


def read_pss_bytes(pid: int) -> int:
    """Proportional set size: private memory, and of each shared page its share. proc_pid_smaps(5)."""
    with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _sum(read: Callable[[int], int], pids: list[int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += read(pid)
        except (OSError, ValueError, IndexError):
            continue  # it has gone meanwhile
    return total
