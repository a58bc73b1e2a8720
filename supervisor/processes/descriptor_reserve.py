"""Owns a few descriptors that are given up when something must be done and none are free. Runs in the supervisor."""

import contextlib
import os
from collections.abc import Iterator


class DescriptorReserve:
    """Descriptors that nothing is read from or written to; owns them until `close`.

    Args:
        size: how many to keep.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._fds: list[int] = []
        self.fill()

    @contextlib.contextmanager
    def given_up(self) -> Iterator[None]:
        """Free the descriptors for what is done in the context; afterwards take as many again as there are."""
        self.close()
        try:
            yield
        finally:
            self.fill()

    def fill(self) -> None:
        """Take what is missing, as far as there are descriptors."""
        with contextlib.suppress(OSError):
            while len(self._fds) < self._size:
                self._fds.append(os.open("/dev/null", os.O_PATH | os.O_CLOEXEC))

    def close(self) -> None:
        """Close all of them. May be called twice."""
        while self._fds:
            os.close(self._fds.pop())
