"""Owns the way from Python to the estimate of a worker's turns (turns.pxd).

Runs in tests, in no process of a running app: they call the very code that the dispatcher runs.
"""

from libc.stdint cimport int64_t


def usual(int64_t usual_ns, int64_t length_ns, int64_t handover_timeout_ns):
    """Return the estimate after a turn of `length_ns`; all times in ns."""
    return turn_seen(usual_ns, length_ns, handover_timeout_ns)


def patience(int64_t usual_ns, int64_t handover_timeout_ns):
    """Return how many ns a connection may lie unread."""
    return patience_ns(usual_ns, handover_timeout_ns)
