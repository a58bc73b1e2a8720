"""Owns a start as in a container: process 1 of its own processes, a root that is for reading only, a user that no file
knows, no home. Runs in the test process, which is root's.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from . import processes
from .waiting import scaled, wait_until

NOBODYS_UID = 12345
# /dev/shm is what every container engine leaves writable.
START = """
mount -t tmpfs tmpfs /dev/shm && mount -o remount,bind,ro / && cd "$WORKDIR" || exit 99
exec setpriv --reuid={uid} --regid={uid} --clear-groups $READS "$@"
"""
# The interpreter of the tests may be in a directory that only root may enter.
READS = "--inh-caps=+dac_read_search --ambient-caps=+dac_read_search"
PASSED_ON = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")


def is_possible() -> bool:
    """Whether processes can be contained here."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        return False
    command = ["unshare", "-mpf", "--mount-proc", "mount", "-o", "remount,bind,ro", "/"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Container:
    """A command that runs as process 1.

    Args:
        command: the program and its arguments.
        cwd: its working directory.
        env: beside PATH and the like.
    """

    def __init__(self, *command: str, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        known = {name: value for name in PASSED_ON if (value := os.environ.get(name))}
        start = ["unshare", "-mpf", "--mount-proc", "--kill-child", "sh", "-c", START.format(uid=NOBODYS_UID), "sh"]
        self._process = subprocess.Popen(
            [*start, *command],
            env={**known, "WORKDIR": str(cwd), "READS": READS, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def main_pid(self) -> int:
        """Process 1 as the test sees it."""
        return wait_until(lambda: processes.children(self._process.pid), "the container has a process")[0]

    def ask_to_stop(self) -> None:
        """Ask it to end, as engines do."""
        os.kill(self.main_pid, signal.SIGTERM)

    def join(self) -> tuple[int, str]:
        """Wait for its end; return exit code and output."""
        output, _ = self._process.communicate(timeout=scaled(30))
        return self._process.returncode, output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        with self._process:
            self._process.kill()
