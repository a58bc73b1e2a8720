"""Owns coming back from another working directory. Runs in the user's shell.

What is checked and started is where its app is, so that relative paths mean what they mean there.
"""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def back_again() -> Iterator[None]:
    """Return to the present working directory afterwards."""
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)
