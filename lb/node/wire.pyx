"""Owns the way from Python to the text of Node's cluster protocol (wire.pxd).

Runs in tests, in no process of a running app: they call the very code that the dispatcher runs.
"""

from libc.stdint cimport uint32_t, uint64_t

NAMES = {
    NODE_LINE_OTHER: "other",
    NODE_LINE_RECEIVED: "received",
    NODE_LINE_MISSED: "missed",
    NODE_LINE_ACCEPTED: "accepted",
    NODE_LINE_REFUSED: "refused",
    NODE_LINE_HANDLE: "handle",
}


def classify(bytes line):
    """Return what the line (without its newline) of a worker is, and the number in it (0: none)."""
    cdef uint64_t number = 0
    cdef NodeLine kind = classify_node_line(<const char *>line, len(line), &number)
    return NAMES[kind], number


def announce(uint32_t key, uint64_t number):
    """Return the line that goes with a connection."""
    cdef char text[ANNOUNCEMENT_BYTES]
    cdef size_t length = announce_connection(text, key, number)
    return text[:length]
