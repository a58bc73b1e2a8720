"""A child that an app forks and ends. Runs in a worker."""

import multiprocessing
import signal


def end_forked_child() -> int | None:
    """Fork a child, terminate it, and return how it ended: -SIGTERM when it died of that."""
    child = multiprocessing.get_context("fork").Process(target=signal.pause)
    child.start()
    child.terminate()
    child.join()
    return child.exitcode
