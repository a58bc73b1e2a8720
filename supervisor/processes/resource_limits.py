"""Owns the resource limits (setrlimit(2)) of this process, which every process that it starts inherits.

Runs in the supervisor process. A limit is only ever raised, and only within what the user may have.
"""

import contextlib
import os
import resource

from ..errors import FastlbError

# Held by the supervisor for one worker: lifecycle channel, lifeline, both ends of the connection channel, page,
# eventfd, pidfd, two pipes. The dispatcher holds fewer. Twice, as a reload has two generations.
DESCRIPTORS_PER_WORKER = 2 * 9
DESCRIPTORS_BESIDE = 64
PROCESSES_BESIDE = 2  # the dispatcher, and a moment of its successor
TASKS_PER_WORKER = 2  # the process, and its orphan guard or the threads of Node
SMALLEST_FILE_LIMIT_BYTES = 1 << 20
# fs.nr_open's default. A limit of "infinity" makes programs that walk over all descriptors slow.
MOST_DESCRIPTORS = 1 << 20


def raise_descriptor_limit() -> int:
    """Raise the soft RLIMIT_NOFILE to the hard one, for us and what we start; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def descriptor_limit() -> int:
    """Our soft RLIMIT_NOFILE, which every process that we start inherits."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def check_limits(workers: int) -> None:
    """Whether this machine lets us start so many workers; after `raise_descriptor_limit`.

    Raises:
        FastlbError: says which limit is too low, and for how many workers it is enough.
    """
    _check_descriptors(workers)
    _check_processes(workers)
    _check_file_size()


def _check_descriptors(workers: int) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = DESCRIPTORS_BESIDE + workers * DESCRIPTORS_PER_WORKER
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return
    enough_for = max((limit - DESCRIPTORS_BESIDE) // DESCRIPTORS_PER_WORKER, 0)
    raise FastlbError(
        f"{workers} workers need {needed} file descriptors and the limit is {limit}, {_enough_for(enough_for)}:"
        f" raise it with `ulimit -n {needed}` (LimitNOFILE= in a unit of systemd), or start fewer workers"
    )


def _check_processes(workers: int) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    # Root is not bound by it, see setrlimit(2).
    if limit == resource.RLIM_INFINITY or os.geteuid() == 0:
        return
    there = count_tasks(os.geteuid())
    needed = there + PROCESSES_BESIDE + workers * TASKS_PER_WORKER
    if limit < needed:
        enough_for = max((limit - there - PROCESSES_BESIDE) // TASKS_PER_WORKER, 0)
        raise FastlbError(
            f"this user has {there} processes and threads, and may have {limit}, {_enough_for(enough_for)}:"
            f" raise it with `ulimit -u {needed}` (LimitNPROC= in a unit of systemd), or start fewer workers"
        )


def _check_file_size() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY and limit < SMALLEST_FILE_LIMIT_BYTES:
        raise FastlbError(f"no file may be larger than {limit} bytes, which is too small: raise it with `ulimit -f`")


def _enough_for(workers: int) -> str:
    return f"enough for {workers} worker{'s' * (workers != 1)}" if workers else "not enough for any worker"


def count_tasks(uid: int) -> int:
    """Processes and threads of a user, which RLIMIT_NPROC counts together; those that we may not see are left out."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has exited meanwhile
                if entry.stat().st_uid == uid:
                    count += len(os.listdir(f"{entry.path}/task"))
    return count
