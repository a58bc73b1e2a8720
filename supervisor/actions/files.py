"""Owns the files that actions write: heap dumps, profiles, flame graphs. In the app's log directory, 0600.

Runs in threads of the supervisor process, as a disk may hang. The newest MOST_FILES of an app stay; how
large one is, is the business of who asks for it.
"""

import contextlib
import os
import re
from pathlib import Path

from ..errors import FastlbError
from ..output import wall_clock
from ..output.event_record import format_time

MOST_FILES = 20
MARK = "action"
UNSAFE = re.compile(r"[^\w.-]+")


class ActionFile:
    """A file that an action is to write. Owns its descriptor until it is kept or discarded."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def keep(self) -> str:
        """Return its path; "" when nothing was written, and then it is gone."""
        if os.fstat(self.fd).st_size == 0:
            return self.discard()
        os.close(self.fd)
        return str(self.path)

    def discard(self) -> str:
        """Remove it."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self.fd)
        return ""


class ActionFiles:
    """Those of one app: `NAME-action-WORKER-DATE-ACTION.ENDING` in `directory`."""

    def __init__(self, directory: Path, app: str) -> None:
        self._directory = directory
        self._prefix = f"{app}-{MARK}-"

    def create(self, worker_id: int, action: str, ending: str) -> ActionFile:
        """Create an empty one, and remove the oldest of too many.

        Raises:
            FastlbError: it cannot be created.
        """
        self._make_room()
        date = format_time(wall_clock.now()).replace("-", "").replace(":", "")
        path = self._directory / f"{self._prefix}{worker_id}-{date}-{UNSAFE.sub('_', action)}.{ending}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FastlbError(f"cannot create {path}: {error.strerror}") from error
        return ActionFile(path, fd)

    def _make_room(self) -> None:
        """Ours are told by the whole name: that of another app may begin with ours."""
        pattern = re.compile(re.escape(self._prefix) + r"\d+-\d{8}T\d{6}\.\d{3}Z-")
        with contextlib.suppress(OSError):
            found = [path for path in self._directory.iterdir() if pattern.match(path.name)]
            for path in sorted(found, key=lambda path: path.lstat().st_mtime)[: -(MOST_FILES - 1)]:
                path.unlink()
