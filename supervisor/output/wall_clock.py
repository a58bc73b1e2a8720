"""Owns the time of day, of which logs, the names of their files and dates for programs are made.

Runs in the supervisor process and in the user's shell. Nothing else may ask for it: it jumps.
"""

import time


def now() -> float:
    """Return the seconds since the epoch."""
    return time.time()
