"""Owns the first moment of the command `fastlb`: what a signal does before there is anything that could be given back.

Runs in the user's shell. It imports nothing that takes time: what comes before is the interpreter's own start.
"""

# The compiled part: `signal` itself takes a millisecond, and is imported later.
import _signal as signal  # type: ignore[import-not-found]
import sys

from .config_files.formats.evaluator import READING, start_early


def main() -> int:
    """Run the command line; return the exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the end without a traceback; main.py changes it back
    command = _command(sys.argv[1:])
    if command in READING:
        start_early(sys.argv[1:])
    if command == "run":
        # The supervisor that this process becomes hears it, and ends as at any later time. Process 1 of a container,
        # which the kernel protects from signals without a handler, would never hear of it.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    from .main import main as run

    return run()


def _command(arguments: list[str]) -> str:
    return next((argument for argument in arguments if not argument.startswith("-")), "")
