"""Tells a program of the listening sockets that it inherits, and becomes it: systemd's protocol, sd_listen_fds(3).

Runs in the process that becomes the program, before it: LISTEN_PID is that of the program itself, and nobody knows it
before there is a process. Started by path, isolated, so it imports nothing of ours, and leaves the environment as it
was but for the three variables.
"""

import os
import signal
import sys

# What Python ignores for itself and a program is to have as every process does.
SIGNALS_OF_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
CANNOT_EXECUTE = 126


def main(argv: list[str]) -> int:
    """Become `PROGRAM ARGS`, with COUNT sockets called NAMES: argv is COUNT NAMES PROGRAM ARGS."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in SIGNALS_OF_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    count, names, program = argv[:3]
    told = {"LISTEN_FDS": count, "LISTEN_FDNAMES": names, "LISTEN_PID": str(os.getpid())}
    env = inherited_environment() | {os.fsencode(name): os.fsencode(value) for name, value in told.items()}
    try:
        os.execve(program, argv[2:], env)
    except OSError as error:
        sys.stderr.write(f"cannot start {program}: {error.strerror}\n")
    return CANNOT_EXECUTE


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
