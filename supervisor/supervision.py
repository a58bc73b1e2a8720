"""Owns the life of the supervisor process between "everything is bound" and its exit. Runs on its event loop.

It connects what can end an app (a failed start, the control socket, signals, a launcher that hung up) with
the one way to end it. It decides nothing about workers: that is Master's.
"""

import asyncio
import os
import signal
import traceback
from collections.abc import Coroutine
from typing import Any

from .app_config import AppConfig
from .control.requests import ControlRequests
from .control.server import ControlServer
from .errors import FastlbError, StartFailed
from .launch_report import Reporter
from .listeners import close_all
from .master import Master, MasterEnvironment
from .runtime_dir import save_config


class Supervision:
    """Starts an app, waits until it is to end, ends it."""

    def __init__(self, config: AppConfig, environment: MasterEnvironment, reporter: Reporter) -> None:
        self._config = config
        self._environment = environment
        self._log = environment.log
        self._reporter = reporter
        self._master = Master(config, environment)
        requests = ControlRequests(self._master, environment.output, self.stop)
        self._control = ControlServer(environment.paths, requests, self._log)
        self._stop_wanted = asyncio.Event()
        self._start_over = asyncio.Event()
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._had_terminal = _has_terminal()

    async def run(self) -> None:
        """Run the app from its start to its end.

        Raises:
            FastlbError: it did not start; nothing of it is left.
        """
        asyncio.get_running_loop().set_exception_handler(self._on_unhandled)
        await self._control.start()
        self._install_signals()
        try:
            await self._start()
            await self._stopped.wait()
        finally:
            await self._control.close()
            self._log.info("supervisor_stopped", pid=os.getpid())

    async def stop(self, force: bool) -> None:
        """End the app: drain the workers, or with `force` do not. A start under way is given up.

        May be called again, with `force`, while it runs.
        """
        self._stop_wanted.set()
        await self._start_over.wait()
        await self._master.stop(force)
        close_all(self._environment.listeners)
        self._stopped.set()

    async def _start(self) -> None:
        try:
            await self._start_or_cancel()
            save_config(self._environment.paths, self._config)
        except BaseException:
            await self._master.stop(True)
            raise
        finally:
            self._start_over.set()
        addresses = ", ".join(listener.address for listener in self._environment.listeners)
        self._reporter.started(f"{self._config.name} listens on {addresses}")

    async def _start_or_cancel(self) -> None:
        starting = asyncio.create_task(self._master.start(self._reporter.progress))
        gone = asyncio.create_task(self._reporter.launcher_gone())
        stopping = asyncio.create_task(self._stop_wanted.wait())
        await asyncio.wait({starting, gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
        is_cancelled = not starting.done()
        for task in (starting, gone, stopping):
            task.cancel()
        await asyncio.gather(starting, gone, stopping, return_exceptions=True)
        if is_cancelled:
            self._log.warning("start_cancelled", by="stop" if self._stop_wanted.is_set() else "launcher")
            raise StartFailed("the start was cancelled")
        starting.result()

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._on_stop_signal, number)
        # Ignored means nohup: whoever asked for that wants to outlive the terminal.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_stop_signal(self, number: signal.Signals) -> None:
        force = number == signal.SIGQUIT or self._stop_wanted.is_set()
        self._log.info("stop_requested", signal=number.name, force=force)
        self._stop_wanted.set()
        self._run_in_background(self.stop(force))

    def _on_hangup(self) -> None:
        # A closed terminal sends SIGHUP as well; it ends a foreground app, kill(1) reloads it.
        if self._had_terminal and not _has_terminal():
            self._on_stop_signal(signal.SIGHUP)
        else:
            self._run_in_background(self._reload())

    def _on_unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        trace = "".join(traceback.format_exception(error)) if error else ""
        self._log.error("unhandled_error", reason=context["message"], traceback=trace)

    async def _reload(self) -> None:
        self._log.info("reload_requested", signal="SIGHUP")
        try:
            await self._master.reload(lambda progress: None)
        except FastlbError as error:
            self._log.error("reload_failed", reason=error.message, details=error.details)

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
