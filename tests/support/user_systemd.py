"""Owns a real `systemd --user` for tests, in namespaces of its own: a boot is its start, a power cut its end.

Runs in the test process, which is root's. What runs in it ends with it; only files stay.
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

SYSTEMD = Path("/lib/systemd/systemd")
# systemd runs only where it believes that the machine was booted with it, and for a user whose units may linger.
BOOT = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR" && chmod 700 "$XDG_RUNTIME_DIR"
mkdir -p /var/lib/systemd && mount -t tmpfs tmpfs /var/lib/systemd && mkdir /var/lib/systemd/linger
touch /var/lib/systemd/linger/root
{systemd} --user --log-target=console &
wait
"""


def is_possible() -> bool:
    """Whether a systemd can be run here."""
    if os.geteuid() != 0 or not SYSTEMD.exists() or not shutil.which("nsenter"):
        return False
    command = ["unshare", "-mpf", "--mount-proc", "mount", "-t", "tmpfs", "tmpfs", "/run"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class UserSystemd:
    """A running `systemd --user`.

    Args:
        home: HOME of the user, with the units in it.
        env: of the manager, and so of what it starts.
    """

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        own = {"HOME": str(home), "XDG_RUNTIME_DIR": "/run/user/0", "XDG_CONFIG_HOME": str(home / ".config")}
        self._env = {**env, **own}
        self._log = home / "systemd.log"
        with self._log.open("ab") as log:
            self._unshare = subprocess.Popen(
                ["unshare", "-mpf", "--mount-proc", "--kill-child", "sh", "-c", BOOT.format(systemd=SYSTEMD)],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._is_up, "systemd runs", 20)

    def _is_up(self) -> bool:
        assert self._unshare.poll() is None, self._log.read_text()
        return bool(self._shell) and self.systemctl("is-system-running").stdout.strip() in ("running", "degraded")

    @property
    def _shell(self) -> int:
        """Process 1 of its namespace, as the test sees it; 0: not yet."""
        return next(iter(processes.children(self._unshare.pid)), 0)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command inside, to its end."""
        inside = ["nsenter", "--mount", "--pid", "--target", str(self._shell), *command]
        return subprocess.run(
            inside, env=self._env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=scaled(60)
        )

    def systemctl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `systemctl --user`."""
        return self.run("systemctl", "--user", *arguments)

    def property_of(self, unit: str, name: str) -> str:
        """Return a property of a unit, as `systemctl show` says it."""
        return self.systemctl("show", "--value", "--property", name, unit).stdout.strip()

    def cut_power(self) -> None:
        """End everything in it at once."""
        if self._unshare.poll() is None:
            self._unshare.send_signal(signal.SIGKILL)
        self._unshare.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.cut_power()
