"""Owns the question whose descendant a process is, read from /proc. Runs in the supervisor process."""

# Deeper than anything that is started by hand; a longer way up is none of ours.
MOST_GENERATIONS = 64


def is_same_or_below(pid: int, ancestor: int) -> bool:
    """Whether `pid` is `ancestor` or one of its descendants now; False for one that is gone."""
    for _ in range(MOST_GENERATIONS):
        if pid == ancestor:
            return True
        if pid <= 1:
            return False
        pid = parent_of(pid)
    return False


def parent_of(pid: int) -> int:
    """Return the parent's pid, 0 when the process is gone: proc_pid_stat(5)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything, parentheses too.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
