"""Owns the driver of an App inside the test process: real dispatcher, real workers, a real loop (uvloop).

`run(scenario)` gives the scenario a RunningApp and checks afterwards that a stop leaves nothing. For what only
the whole supervisor process shows (control socket, signals, files), see fastlb_process.py.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from fastlb.supervisor.app import App
from fastlb.supervisor.app_resources import AppResources
from fastlb.supervisor.control.progress import Progress
from fastlb.supervisor.control.protocol import WorkerEntry
from fastlb.supervisor.home.app_lock import AppLock
from fastlb.supervisor.home.paths import AppPaths, prepare_app_dir, prepare_home
from fastlb.supervisor.kinds import traits_of
from fastlb.supervisor.launch.messages import LaunchRequest
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.worker_output import WorkerOutput
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.traits import WorkerTraits
from fastlb.supervisor.sockets.listeners import bind_all, close_all
from fastlb.supervisor.succession.tenure import Tenure

from .client import Response, get
from .fastlb_process import APPS
from .waiting import let_run_until

Scenario = Callable[["RunningApp"], Awaitable[None]]

# The first loop of a process opens a pipe that libuv never closes: no leak of a test.
uvloop.new_event_loop().close()


@dataclass
class RunningApp:
    """An App that has not been started yet, and what a test asks of it."""

    app: App
    resources: AppResources

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        info = self.resources.listeners[0].info
        return info.host, info.port

    @property
    def workers(self) -> list[WorkerEntry]:
        """What `list` says of the workers."""
        return self.app.status().workers

    @property
    def pids(self) -> list[int]:
        """Pids of the workers that are online, by worker id."""
        return [worker.pid for worker in self.workers if worker.status == "online" and worker.pid]

    @property
    def statuses(self) -> list[str]:
        """Their states, as `list` says them."""
        return [worker.status for worker in self.workers]

    @property
    def dispatcher_pid(self) -> int:
        """Pid of the dispatcher; 0 between two."""
        pid = self.app.details().dispatcher["pid"]
        return int(pid or 0)

    async def start(self) -> None:
        """Start it, which must succeed."""
        await self.app.start(ignore_progress)

    async def get(self, path: str = "/", timeout: float = 5.0) -> Response:
        """Make one request while the loop runs."""
        return await asyncio.to_thread(get, self.address, path, timeout)

    async def wait_until(self, condition: Callable[[], Any], what: str, timeout: float = 10.0) -> None:
        """Let the loop run until `condition()` is true."""
        await let_run_until(condition, what, timeout)

    async def wait_online(self, workers: int) -> None:
        """Wait until so many workers are online and no others exist."""
        await self.wait_until(lambda: self.statuses == ["online"] * workers, f"{workers} workers online")

    def log(self) -> str:
        """The supervisor's log."""
        return self.resources.paths.supervisor_log.read_text()

    def events(self, name: str) -> int:
        """How often an event is in the log."""
        return len(re.findall(rf"\b(?:INFO|WARNING|ERROR) {name}\b", self.log()))

    def error_log(self) -> str:
        """What the workers wrote to stderr."""
        return self.resources.paths.error_log.read_text()


def ignore_progress(progress: Progress) -> None:
    """For tests that do not look at it."""


def config(target: str = "asgi_probe:app", **settings: Any) -> AppConfig:
    """Settings of an app beside this module, on a free port."""
    defaults: dict[str, Any] = {"name": "app", "bind": ("127.0.0.1:0",), "workers": 2, "app_dir": str(APPS)}
    defaults |= {"settle": 0.3, "restart_delay": 0.01, "log_level": "warning"}
    return AppConfig(target=target, **(defaults | settings))


def run(app_config: AppConfig, scenario: Scenario, traits: WorkerTraits | None = None) -> None:
    """Run a scenario with an App of its own; in the end it is stopped, and nothing of it may be left.

    `traits`: of its kind of workers, if that is not one of fastlb's own.
    """
    with tempfile.TemporaryDirectory(prefix="fastlb-") as directory:
        uvloop.run(_run(app_config, traits or traits_of(app_config), scenario, Path(directory)))


async def _run(app_config: AppConfig, traits: WorkerTraits, scenario: Scenario, home: Path) -> None:
    paths = AppPaths(home / "home", app_config.name)
    prepare_home(paths.home)
    prepare_app_dir(paths)
    listeners = bind_all(app_config)
    log = EventLog(paths.supervisor_log)
    output = WorkerOutput(app_config, paths, log)
    request = LaunchRequest(config=app_config, home=str(paths.home), lock_fd=-1)
    resources = AppResources(paths, log, listeners, Tenure(request, AppLock(-1)))
    running = RunningApp(App(app_config, traits, resources, output), resources)
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    try:
        await scenario(running)
    except BaseException:
        print(running.log(), running.error_log())
        raise
    finally:
        await running.app.stop(force=True)
        output.close()
        log.close()
        close_all(listeners)
    assert problems == [], "errors that nobody handled"

