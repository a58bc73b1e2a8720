"""Owns the time in which a process must not be interrupted: signals wait in the kernel, also across an exec.

Runs in the shell, which becomes the supervisor, and in the supervisor before and after its event loop hears signals.
Without it a signal would meet the interpreter that starts, a handler that the exec forgets, or half of a loop.
"""

import signal

# What ends or reloads an app. A worker must never be started while they are held: it would inherit that.
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


def hold_signals() -> None:
    """Let HELD wait until `release_signals`; this thread, and what it becomes by exec."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)


def release_signals() -> None:
    """Deliver what waits, and hold nothing any more."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
