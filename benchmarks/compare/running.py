"""Owns what every server of the comparison has in common: what it is asked to run, and a process that answers."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from tests.support import processes
from tests.support.client import get
from tests.support.waiting import wait_until

APPS = Path(__file__).resolve().parent / "apps"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0


class Service(msgspec.Struct, frozen=True):
    """What a server is asked to run.

    Attributes:
        app: function in apps/bench_apps.py, or module:name in apps/; of Node a script there.
        threads: of each WSGI worker.
        access_log: every server writes a line for each request; off for all where it is not asked for.
        balance: our policy; "": the default. Others have none to choose.
        log_options: of ours, what its access log is to be besides being on.
    """

    app: str
    interface: Literal["asgi", "wsgi", "node"] = "asgi"
    workers: int = 2
    threads: int = 1
    access_log: bool = False
    balance: str = ""
    log_options: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The app as every server for its language names it."""
        if self.interface == "node":
            return str(APPS / self.app)
        return self.app if ":" in self.app else f"bench_apps:{self.app}"


class RunningServer(msgspec.Struct, frozen=True):
    """A server that answers.

    Attributes:
        pids: asks for all its processes as they are now: some start their workers late, or again.
        balancer_pids: those that only distribute; empty when it has none.
    """

    address: tuple[str, int]
    stop: Callable[[], None]
    pids: Callable[[], list[int]]
    balancer_pids: tuple[int, ...] = ()


class Server(msgspec.Struct, frozen=True):
    """One that can be compared: how it is started, and whether it can be had here."""

    start: Callable[[Service], RunningServer]
    is_installed: Callable[[], bool]


def start_process(
    command: Sequence[str], env: Mapping[str, str], stdout: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start a server's first process, in a group of its own."""
    options: dict[str, Any] = {"cwd": APPS, "env": {**os.environ, **env}, "start_new_session": True}
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, **options)


def wait_for_answer(root: "subprocess.Popen[bytes]", port: int) -> RunningServer:
    """Wait until a server answers."""
    address = ("127.0.0.1", port)
    wait_until(lambda: answers(address) or root.poll() is not None, f"{root.args!r} answers", START_TIMEOUT)
    assert root.poll() is None, f"{root.args!r}: exit code {root.returncode}"
    return RunningServer(address, lambda: stop_process(root), lambda: [root.pid, *processes.descendants(root.pid)])


def answers(address: tuple[str, int]) -> bool:
    """Say whether a request is answered with 200."""
    try:
        return get(address, timeout=2).status == 200
    except OSError:
        return False


def stop_process(root: "subprocess.Popen[bytes]") -> None:
    """Stop a server; the whole group is killed when it does not go."""
    root.terminate()
    try:
        root.wait(timeout=STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(root.pid, signal.SIGKILL)
        root.wait()
