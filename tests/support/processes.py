"""Owns looking at other processes through /proc: children, descriptors, CPU, memory. Changes only limits."""

import os
import resource
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
UTIME, STIME, THREADS = 13, 14, 19
CONNECTED = "03"  # of a socket in /proc/net/unix that somebody holds: SS_CONNECTED


def children(pid: int) -> list[int]:
    """Return the pids of the direct children, zombies included; none when the process is gone."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []
    return found


def descendants(pid: int) -> list[int]:
    """Return the pids of children, their children and so on."""
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found


def command_line(pid: int) -> list[str]:
    """Return the argument vector; empty for a zombie or a process that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat, numbered from 0 as in proc(5) less one."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return [str(pid), "", *text[text.rindex(")") + 2 :].split()]


def is_running(pid: int) -> bool:
    """Say whether the process exists and is not a zombie."""
    try:
        return stat_fields(pid)[2] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_stopped(pid: int) -> bool:
    """Say whether the process has been stopped by a signal."""
    return is_running(pid) and stat_fields(pid)[2] == "T"


def connections_of(pid: int, port: int) -> int:
    """Return how many TCP connections to `port` of this machine, by IPv4, a process holds."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    there = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}")}
    return sum(what in there for what in open_fds(pid).values())


def cpu_seconds(*pids: int) -> float:
    """Return user and system time of the processes together; those that are gone count as nothing."""
    total = 0
    for pid in pids:
        if is_running(pid):
            fields = stat_fields(pid)
            total += int(fields[UTIME]) + int(fields[STIME])
    return total / TICKS_PER_SECOND


def cpu_nanoseconds(*pids: int) -> int:
    """Return the CPU time of all threads from the scheduler: finer than the 10 ms of cpu_seconds."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(task.read_text().split()[0])
    return total


def thread_count(pid: int) -> int:
    """Return the number of threads."""
    return int(stat_fields(pid)[THREADS])


def open_fds(pid: int) -> dict[int, str]:
    """Return descriptor -> what it is (`socket:[123]`, a path, ...)."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(entry.name)] = os.readlink(entry)
        except FileNotFoundError:
            continue  # closed between listing and reading; the listing's own descriptor always is
    return found


def inherited_fds(pid: int) -> dict[int, str]:
    """Return what a program that opens nothing itself has open beside its standard streams."""
    return {fd: name for fd, name in open_fds(pid).items() if fd > 2}


def shared_sockets(pid: int, other: int) -> set[str]:
    """Return which sockets two processes have both, their standard streams left out."""
    names = set(inherited_fds(pid).values()) & set(open_fds(other).values())
    return {name for name in names if name.startswith("socket:")}


def accepted_connections(path: str) -> int:
    """Return how many connections to the unix socket at `path` have been accepted and not been closed there."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return sum(row[-1] == path and row[5] == CONNECTED for row in rows)


def queued_fds(pid: int) -> int:
    """Return how many descriptors have been sent to the process by unix sockets and not been received by it."""
    found = 0
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        lines = entry.read_text().splitlines()
        found += sum(int(line.split()[1]) for line in lines if line.startswith("scm_fds:"))
    return found


def fd_count(pid: int) -> int:
    """Return the number of open descriptors."""
    return len(open_fds(pid))


def rss_bytes(pid: int) -> int:
    """Return the resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def pss_bytes(pid: int) -> int:
    """Return the proportional set size: private memory plus the share of what is shared."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Pss in /proc/{pid}/smaps_rollup")


def limit_open_files(pid: int, soft: int) -> tuple[int, int]:
    """Set the soft limit of open descriptors of another process; return what it was."""
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, old[1]))


def open_file_limit(pid: int) -> tuple[int, int]:
    """Return the limits of open descriptors of another process: soft and hard."""
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)


def with_environment(name: str, value: str) -> list[int]:
    """Return the pids of all processes started with the variable, wherever they hang in the tree."""
    wanted = f"{name}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0") and is_running(int(entry.name)):
                found.append(int(entry.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue  # gone meanwhile, or not ours to read: then not ours at all
    return found
