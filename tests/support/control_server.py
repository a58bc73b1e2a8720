"""Owns a control server in the test process: the real server on a thread of its own, in front of a small app.

For tests of the control socket itself; what an app really does is tested on whole installations.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Self

import msgspec
import uvloop
from fastlb.supervisor.canary.order import CanaryOrder
from fastlb.supervisor.control.progress import Progress
from fastlb.supervisor.control.protocol import (
    AlertEntry,
    AlertsReport,
    AppDetails,
    AppEntry,
    AppMetrics,
    Changes,
    TriggerParams,
    WorkerAnswer,
    WorkersAction,
)
from fastlb.supervisor.control.requests import ControlRequests
from fastlb.supervisor.control.server import ControlServer
from fastlb.supervisor.errors import StartFailed
from fastlb.supervisor.generations.change import Change
from fastlb.supervisor.home.paths import AppPaths, prepare_app_dir, prepare_home
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.worker_output import WorkerOutput
from fastlb.supervisor.settings.app_config import AppConfig

from .waiting import scaled


class SmallApp:
    """Something to control: it answers at once, except that a reload lasts until it is told to end."""

    def __init__(self) -> None:
        self.target_workers = 2
        self.is_reloading = threading.Event()
        self.reloads = 0
        self.reload_may_end = asyncio.Event()

    def status(self) -> AppEntry:
        """Where this process serves."""
        return AppEntry(
            name="app",
            status="online",
            mode="cluster",
            pid=os.getpid(),
            uptime_s=1.0,
            restarts=0,
            binds=["127.0.0.1:8000"],
            balance="round-robin",
            workers=[],
        )

    def details(self) -> AppDetails:
        """A bug, for the test of bugs."""
        raise ZeroDivisionError("a bug in show")

    def metrics(self) -> AppMetrics:
        """A bug as well."""
        raise ZeroDivisionError("a bug in metrics")

    async def restart(self, progress: Callable[[Progress], None], change: Change) -> str:
        """Fail as an app does whose worker does not start."""
        raise StartFailed("worker 0 did not start", details="Traceback\n  ValueError")

    async def canary(self, progress: Callable[[Progress], None], order: CanaryOrder, change: Change) -> str:
        """Say for how long it was to be."""
        return f"{order.rules.duration:g} s"

    def changes(self, config: AppConfig) -> Changes:
        """Say that all is as it was."""
        return Changes([], [])

    async def set(self, assignments: Sequence[str], unset: Sequence[str]) -> str:
        """Say what was to be changed."""
        return f"{list(assignments)}, {list(unset)}"

    async def reload(self, progress: Callable[[Progress], None], parallel: int | None, change: Change) -> str:
        """Take as long as the test wants."""
        self.is_reloading.set()
        progress(Progress("worker 0 is admitted", 1, 2))
        await self.reload_may_end.wait()
        progress(Progress("worker 1 is admitted", 2, 2))
        self.reloads += 1
        return f"reloaded, parallel {parallel}"

    async def scale(
        self, target_workers: int, progress: Callable[[Progress], None], *, is_change: bool = False
    ) -> str:
        """Remember the number."""
        self.target_workers = target_workers + is_change * self.target_workers
        return f"{self.target_workers} workers"

    async def scale_by_load(self) -> str:
        """Say that it is done."""
        return "as the load asks for"

    async def change_workers(self, action: WorkersAction, worker_ids: list[int]) -> str:
        """Say what was to be done."""
        return f"{action} {worker_ids}"

    @property
    def steering(self) -> "SmallApp":
        """Itself."""
        return self

    @property
    def actions(self) -> "SmallApp":
        """Itself."""
        return self

    async def trigger(self, params: TriggerParams, on_answer: Callable[[WorkerAnswer], Awaitable[None]]) -> str:
        """Answer as one worker would."""
        await on_answer(WorkerAnswer(worker=0, pid=1, ok=True, text=f"{params.action} of {params.param}"))
        return "1 worker was asked"

    def send(self, line: str, worker_id: int | None) -> str:
        """Say what was to be sent."""
        return f"{line!r} to {worker_id}"

    def reset(self, worker_ids: list[int]) -> str:
        """Say that it was asked for."""
        return f"reset {worker_ids}"

    def signal(self, number: int, worker_id: int | None) -> str:
        """Say what was to be sent."""
        return f"signal {number} to {worker_id}"


class NoAlerts:
    """Nothing is wrong."""

    def entries(self) -> list[AlertEntry]:
        """None is on."""
        return []

    def report(self) -> AlertsReport:
        """Nobody looks."""
        return AlertsReport(is_watched=False)

    async def test(self) -> AlertsReport:
        """Nobody is told."""
        return self.report()

    def silence(self, seconds: float) -> AlertsReport:
        """Nobody is told anyway."""
        return self.report()


class RunningServer:
    """A ControlServer that serves until the end of the context."""

    def __init__(self, home: Path) -> None:
        self.paths = AppPaths(home, "app")
        self.app = SmallApp()
        self.stops: list[bool] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self._worker_out = -1

    def write_line(self, line: bytes) -> None:
        """Write to the standard output of the app's only worker."""
        os.write(self._worker_out, line)

    def let_reload_end(self) -> None:
        """Let a reload that waits go on to its end."""
        self._loop.call_soon_threadsafe(self.app.reload_may_end.set)

    def connect(self) -> socket.socket:
        """A bare connection, for what the client would never send."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(scaled(10))
        connection.connect(str(self.paths.control_socket))
        return connection

    @property
    def log(self) -> str:
        """What the supervisor's log says."""
        return self.paths.supervisor_log.read_text()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        prepare_home(self.paths.home)
        prepare_app_dir(self.paths)
        log = EventLog(self.paths.supervisor_log)
        output = WorkerOutput(AppConfig(target="app:app", name=self.paths.name), self.paths, log)
        out_read, self._worker_out = os.pipe()
        err_read, err_write = os.pipe()
        attached = output.attach(0, os.getpid(), out_read, err_read)
        server = ControlServer(self.paths, ControlRequests(self.app, output, self._stop, self._update, NoAlerts()), log)
        await server.start()
        self._ready.set()
        await self._end.wait()
        await server.close()
        os.close(self._worker_out)
        os.close(err_write)
        await attached.drained()
        output.close()
        log.close()

    async def _update(self, python: str, _: object) -> str:
        return f"updated by {python}"

    async def _stop(self, force: bool) -> None:
        self.stops.append(force)
        self._end.set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(scaled(10))
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # a `stop` has closed the loop already
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


def request(method: str, id: int = 1, **params: object) -> bytes:
    """A request as a line."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "method": method, "params": params}) + b"\n"
