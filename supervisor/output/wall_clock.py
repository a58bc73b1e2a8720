"""Owns the time of day, of which logs and the names of their files are made. Runs in the supervisor process.

Nothing else may ask for it: it jumps.
"""

import time


def now() -> float:
    """Return the seconds since the epoch."""
    return time.time()
