"""Owns the way from the C layer's -errno to Python's OSError. Runs in all processes.

No other file of lb raises an OSError.
"""

import os


cdef int check(int result, str what) except -1:
    """Return `result` when it is not negative, else raise OSError(-result) that names the call `what`."""
    if result < 0:
        raise OSError(-result, f"{what}: {os.strerror(-result)}")
    return result
