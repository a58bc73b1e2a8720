"""Becomes a worker's program, as another user, with limits, told of sockets: the last step before it. Never imported.

Runs in the process that becomes the program, before it: `become.py ATTRIBUTES PROGRAM ARGS`. Started by path, isolated,
so it imports nothing of ours. Whatever cannot be done ends it with exit code 126: no program ever runs as root, or
without its limits, because something failed.
"""

import errno
import json
import os
import resource
import signal
import sys
from typing import Any

# What Python ignores for itself and a program is to have as every process does.
SIGNALS_OF_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
CANNOT_EXECUTE = 126
NO_PROGRAM = "it is no program of this machine, and begins with no #! line: say by --interpreter what runs it"


def main(argv: list[str]) -> int:
    """Do what ATTRIBUTES (JSON: ProcessAttributes) say, then become the program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in SIGNALS_OF_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    attributes, program = json.loads(argv[0]), argv[1]
    step = "set its limits"
    try:
        set_limits(attributes)
        set_death_signal = loaded_prctl() if attributes["death_signal"] else None
        step = "become that user"
        become_user(attributes)
        if set_death_signal:
            end_with_parent(attributes["parent"], attributes["death_signal"], set_death_signal)
        step = f"start {program}"
        os.execve(program, argv[1:], inherited_environment() | told_of_listeners(attributes["listeners"]))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        is_no_program = isinstance(error, OSError) and error.errno == errno.ENOEXEC
        sys.stderr.write(f"cannot {step}: {NO_PROGRAM if is_no_program else reason}\n")
    return CANNOT_EXECUTE


def set_limits(attributes: dict[str, Any]) -> None:
    """Set what only a privileged process may set, while we are one.

    Raises:
        OSError: it may not.
    """
    if attributes["nofile"]:
        # The hard limit as well: Node raises the soft one to it.
        resource.setrlimit(resource.RLIMIT_NOFILE, (attributes["nofile"],) * 2)
    if attributes["nice"]:
        os.setpriority(os.PRIO_PROCESS, 0, attributes["nice"])
    if attributes["cpus"]:
        os.sched_setaffinity(0, attributes["cpus"])
    if attributes["umask"] is not None:
        os.umask(attributes["umask"])


def become_user(attributes: dict[str, Any]) -> None:
    """Take the user, group and supplementary groups, for good, and make sure that it is so.

    The order is that of setuid(2)'s users: groups first, as they can be set by root only.

    Raises:
        OSError: it is not allowed.
        ValueError: it did not work although nothing failed.
    """
    uid, gid, groups = attributes["uid"], attributes["gid"], attributes["groups"]
    if uid is None:
        return
    if os.geteuid() == 0:
        os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid):
        raise ValueError(f"the process is still user {os.getresuid()}, group {os.getresgid()}")
    if uid and set(os.getgroups()) != set(groups):
        raise ValueError(f"the process still has the groups {os.getgroups()}")
    if uid and can_become_root():
        raise ValueError("the process could still become root")


def can_become_root() -> bool:
    """Whether this process gets root's rights when it asks for them."""
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True


def loaded_prctl() -> Any:
    """Return prctl(2), as long as we may read what it takes to call it; None: this Python has no ctypes."""
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None


def end_with_parent(parent: int, number: int, prctl: Any) -> None:
    """Have the kernel send this signal when the process that has started us dies; now, if it has died already.

    Not before the process is who it is to be: another user does not inherit that.
    """
    prctl(SET_PARENT_DEATH_SIGNAL, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def told_of_listeners(names: list[str]) -> dict[bytes, bytes]:
    """Return what tells a program of its sockets, sd_listen_fds(3): only the process itself knows its pid."""
    if not names:
        return {}
    told = {"LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names), "LISTEN_PID": str(os.getpid())}
    return {os.fsencode(name): os.fsencode(value) for name, value in told.items()}


def inherited_environment() -> dict[bytes, bytes]:
    """Return the environment as it was given: Python adds to its own where no locale is set (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = (pair.partition(b"=") for pair in file.read().split(b"\0"))
            return {name: value for name, equals, value in pairs if name and equals}
    except OSError:
        return dict(os.environb)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
