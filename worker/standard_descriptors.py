"""Owns that descriptors 0, 1 and 2 are never free. Runs in workers, after the app's import and its start.

Whatever opens a file gets the lowest free number, and whatever prints, or ends a process, relies on these three: in the
place of one that the app has closed would come a socket or a part of an event loop. One that is open is left alone.
"""

import os

STANDARD_DESCRIPTORS = (0, 1, 2)


def fill_standard_descriptors() -> None:
    """Open the null device in the place of each that is closed."""
    for fd in STANDARD_DESCRIPTORS:
        try:
            os.fstat(fd)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            os.set_inheritable(opened, True)
