"""Becomes a program of fork mode: the last step before it, for what only the process itself can do.

Runs in the process that becomes the program: `become_program.py PARENT SIGNAL COUNT NAMES PROGRAM ARGS`. The kernel
is to send it SIGNAL when the supervisor (PARENT) dies, and it is told of COUNT listening sockets called NAMES as
systemd does, sd_listen_fds(3): LISTEN_PID is its own. Started by path, isolated, so it imports nothing of ours, and
leaves the environment as it was but for those variables.
"""

import errno
import os
import signal
import sys

# What Python ignores for itself and a program is to have as every process does.
SIGNALS_OF_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
CANNOT_EXECUTE = 126
NO_PROGRAM = "it is no program of this machine, and begins with no #! line: say by --interpreter what runs it"


def main(argv: list[str]) -> int:
    """Do what the arguments say, then become the program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in SIGNALS_OF_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    parent, signal_name, count, names, program = argv[:5]
    end_with_parent(int(parent), signal.Signals[signal_name])
    told = {"LISTEN_FDS": count, "LISTEN_FDNAMES": names, "LISTEN_PID": str(os.getpid())} if int(count) else {}
    env = inherited_environment() | {os.fsencode(name): os.fsencode(value) for name, value in told.items()}
    try:
        os.execve(program, argv[4:], env)
    except OSError as error:
        reason = NO_PROGRAM if error.errno == errno.ENOEXEC else error.strerror
        sys.stderr.write(f"cannot start {program}: {reason}\n")
    return CANNOT_EXECUTE


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this signal when the process that has started us dies; now, if it has died already."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, int(number), 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return  # a Python without ctypes: the program goes on without its supervisor
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


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
