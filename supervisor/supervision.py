"""Owns the life of the supervisor process between "everything is bound" and its exit. Runs on its event loop.

It connects what can end an app (a failed start, the control socket, signals, a launcher that hung up) with
the one way to end it. It decides nothing about workers: that is App's.
"""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Coroutine
from typing import Any

from .alerts.channels.delivery import deliver
from .alerts.outbox import Outbox
from .alerts.sampling import Surroundings
from .alerts.silence import Silence
from .alerts.watch import AlertWatch, WatchParts
from .app import App
from .app_resources import AppResources
from .control.requests import ControlRequests
from .control.server import ControlServer
from .errors import FastlbError, StartFailed, StartStopped
from .home.stopped_workers import save_stopped
from .home.stored_config import save_config
from .kinds import traits_of
from .launch.messages import StartedReport
from .launch.reporter import Reporter
from .metrics.of_app import AppMetricsServer
from .operations import Operation, OperationRequest
from .output.terminal import TerminalOutput
from .output.worker_output import WorkerOutput
from .own_metrics.of_app import OwnMetrics
from .processes.held_signals import hold_signals
from .service.announcer import Announcer
from .settings.app_config import AppConfig
from .settings.cron_restart import is_scheduled
from .settings.quantities import format_duration
from .signals import SignalMeaning, pass_on_signals
from .sockets.listeners import close_all
from .statsd.sender import StatsdSender
from .succession.successor import Successor, refuse_what_cannot_be_replaced
from .turnover import OnProgress
from .version import VERSION

# For telling that an app has ended by itself.
LAST_WORDS_SECONDS = 10.0


class Supervision:
    """Starts an app, waits until it is to end, ends it.

    Args:
        config: the settings.
        resources, output: borrowed.
        reporter: tells whoever launched us how the start goes.
        wait: whether success is only reported when the workers have lived for `settle`.
    """

    def __init__(
        self,
        config: AppConfig,
        resources: AppResources,
        output: WorkerOutput,
        reporter: Reporter,
        *,
        wait: bool = True,
    ) -> None:
        self._wait = wait
        self._config = config
        self._resources = resources
        self._output = output
        self._log = resources.log
        self._reporter = reporter
        self._app = App(config, traits_of(config), resources, output)
        ends_when_abandoned = resources.terminal and not config.errored_retry and not resources.restarts_on_change
        self._app.abandonment.on_abandoned = self._on_abandoned if ends_when_abandoned else None
        self._announcer = Announcer(resources.service_manager, self._app.status, self._app.failure)
        self._alerts = self._make_alerts()
        self._app.announce_to(self._on_operations)
        self._failure: FastlbError | None = None
        requests = ControlRequests(self._app, output, self.stop, self.update, self._alerts)
        self._control = ControlServer(resources.paths, requests, self._log)
        ask = self._app.actions.told_by_all
        self._own = own = OwnMetrics(lambda: self._app.config, resources.paths, ask, self._log)
        requests.complete = own.add_to
        self._metrics = AppMetricsServer(config, lambda: own.add_to(self._app.metrics()), self._log)
        self._statsd = StatsdSender(config, self._app.metrics, self._log)
        self._stop_wanted = asyncio.Event()
        self._start_finished = asyncio.Event()
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._exit_code = 0
        self._had_terminal = _has_terminal()

    def _make_alerts(self) -> AlertWatch:
        surroundings = Surroundings(self._resources.paths.logs_dir, self._resources.listeners)
        app, log = self._app, self._log
        parts = WatchParts(
            config=lambda: app.config,
            metrics=app.metrics,
            failure=app.failure,
            surroundings=surroundings,
            outbox=Outbox(lambda channel, message: deliver(channel, message, self._environment()), log),
            silence=Silence(self._resources.paths),
            log=log,
        )
        return AlertWatch(parts)

    def _environment(self) -> dict[str, str]:
        return {**self._resources.environment, **self._app.config.env}

    def _on_operations(self) -> None:
        self._announcer.look()
        self._alerts.note_operations(self._app.status())

    async def run(self) -> int:
        """Run the app from its start to its end; return the exit code: that of a job in the foreground, or 0.

        Raises:
            FastlbError: it did not start, or ended because no worker was left; nothing of it is left.
        """
        asyncio.get_running_loop().set_exception_handler(self._on_unhandled)
        if not self._resources.tenure.is_successor:
            await self._control.start()
            self._announcer.begin()
        pass_on_signals(self._on_signal)
        try:
            await self._start()
            self._statsd.begin()
            if self._resources.terminal and not self._starts_again:
                self._run_in_background(self._end_with_job())
            await self._stopped.wait()
        finally:
            self._metrics.close()
            self._statsd.close()
            if self._resources.tenure.is_ours:
                self._own.close()
            await self._control.close()
            hold_signals()  # nothing is left that could be ended sooner
            self._announcer.close()
            self._log.info("supervisor_stopped", pid=os.getpid())
        if self._failure:
            raise self._failure
        return self._exit_code

    async def stop(self, force: bool) -> None:
        """End the app: drain the workers, or with `force` do not. A start under way is given up.

        May be called again, with `force`, while it runs.
        """
        self._stop_wanted.set()
        self._announcer.stopping()
        self._alerts.close()
        await self._start_finished.wait()
        if force:
            self._resources.tenure.hurry_predecessor()
        await self._app.stop(force)
        await self._resources.tenure.predecessor_gone()
        close_all(self._resources.listeners)
        self._stopped.set()

    @property
    def _starts_again(self) -> bool:
        """Whether something besides persons may start an app again whose processes have all ended."""
        return is_scheduled(self._config.cron_restart) or self._resources.restarts_on_change

    async def _end_with_job(self) -> None:
        """End an app in the foreground whose processes have all ended, and are not to be started again."""
        self._exit_code = await self._app.abandonment.until_job_is_done()
        await self.stop(False)

    async def _start(self) -> None:
        try:
            if not self._resources.tenure.is_successor:
                await self._metrics.start()
            await self._start_or_cancel()
            if self._resources.tenure.is_successor:
                await self._take_over()
            self._save_config()
        except BaseException as error:
            if isinstance(error, StartFailed) and self._resources.terminal and not self._config.autorestart:
                error.exit_code = error.worker_exit_code or error.exit_code
            await self._app.stop(force=not traits_of(self._config).works_before_ready)
            raise
        finally:
            self._start_finished.set()
        self._announcer.ready()
        self._alerts.begin()
        self._reporter.started(self._app.what_runs(), self._app.remarks)

    async def update(self, python: str, progress: OnProgress) -> str:
        """Have a supervisor of another version take our place, which ends what we have under way. Returns a sentence.

        Args:
            python: the interpreter that has it; "": ours.
            progress: is told how it goes.

        Raises:
            FastlbError: it cannot be, or did not start; nothing was changed.
        """
        is_service = self._resources.service_manager is not None
        refuse_what_cannot_be_replaced(self._resources.tenure, is_service=is_service)
        return await self._app.update(python or sys.executable, self._give_over, progress)

    async def _give_over(self, successor: Successor, progress: OnProgress) -> str:
        manager = self._resources.service_manager
        try:
            ready = await successor.until_ready(progress)
            started = await self._have_it_taken_over(successor)
        except BaseException:
            await successor.close()
            raise
        if manager:  # not before: a service whose main process dies is over, and only that one may name another
            manager.name_main_process(successor.pid)
        await successor.close()
        self._announcer.close()
        self._control.yield_path()
        self._resources.tenure.give_over()
        self._log.info("given_over", to=successor.pid, version=ready.version)
        self._run_in_background(self.stop(False))  # before any operation that waits begins
        return f"{started.text}; fastlb {ready.version} runs it, {VERSION} finishes what it has"

    async def _have_it_taken_over(self, successor: Successor) -> StartedReport:
        self._metrics.close()  # it is the successor's to listen there
        self._statsd.give_over()
        try:
            successor.leave({"alerts": await self._alerts.hand_over()})
            return await successor.take_over()
        except BaseException:
            await successor.hang_up()
            await self._run_it_again()  # at once: it may take its time to end
            raise

    async def _run_it_again(self) -> None:
        """Have back what a successor may have taken that has died before it said so."""
        self._alerts.go_on()
        self._resources.tenure.lock.name_holder()
        try:
            await self._control.reclaim()
        except FastlbError as error:
            self._log.error("control_socket_missing", reason=error.message)
        await self._metrics.start_anyway()
        self._statsd.begin()

    async def _take_over(self) -> None:
        """Take the place of the supervisor that has started this one.

        Raises:
            StartFailed: it does not want to be replaced any more.
        """
        if not await self._reporter.may_take_over():
            raise StartFailed("the start was cancelled")
        await self._control.start()
        self._resources.tenure.begin()
        self._alerts.inherit(self._resources.tenure.take_estate().get("alerts", b"{}"))
        await self._metrics.start_anyway()
        self._announcer.begin()

    def _save_config(self) -> None:
        try:
            save_config(self._resources.paths, self._app.wanted)
            if self._resources.paths.is_kept:
                save_stopped(self._resources.paths, self._resources.tenure.stopped)
        except FastlbError as error:
            if not self._resources.tenure.is_successor:
                raise
            # The app is ours by now, and what the predecessor has saved is there.
            self._log.error("settings_not_saved", reason=error.message)

    async def _start_or_cancel(self) -> None:
        starting = asyncio.create_task(self._app.start(self._reporter.progress, wait=self._wait))
        gone = asyncio.create_task(self._reporter.launcher_gone())
        stopping = asyncio.create_task(self._stop_wanted.wait())
        await asyncio.wait({starting, gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
        is_cancelled = not starting.done()
        for task in (starting, gone, stopping):
            task.cancel()
        await asyncio.gather(starting, gone, stopping, return_exceptions=True)
        if is_cancelled:
            self._log.warning("start_given_up", by="stop" if self._stop_wanted.is_set() else "launcher")
            if self._stop_wanted.is_set():
                raise StartStopped("stopped before it had started")
            raise StartFailed("the start was cancelled")
        starting.result()

    def _on_abandoned(self, error: FastlbError) -> None:
        """End an app in the foreground: whoever started it can do something about it, and sees its exit code."""
        if not self._stop_wanted.is_set():
            self._failure = FastlbError(f"{self._config.name} has ended: {error.message}", exit_code=error.exit_code)
            self._stop_wanted.set()
            self._run_in_background(self._end_abandoned())

    async def _end_abandoned(self) -> None:
        try:
            await self._alerts.finish(LAST_WORDS_SECONDS)
        finally:
            await self.stop(False)

    def _on_signal(self, meaning: SignalMeaning, number: signal.Signals) -> None:
        match meaning:
            case SignalMeaning.STOP | SignalMeaning.STOP_AT_ONCE:
                self._on_stop_signal(meaning, number)
            case SignalMeaning.RELOAD:
                self._on_hangup(number)
            case SignalMeaning.SCALE_UP:
                self._app.ask(OperationRequest(Operation.SCALE, asker(number), change=1))
            case SignalMeaning.SCALE_DOWN:
                self._app.ask(OperationRequest(Operation.SCALE, asker(number), change=-1))
            case SignalMeaning.REOPEN_LOGS:
                self._log.info("signal_received", signal=number.name)
                self._log.reopen_if_moved()
                self._output.reopen_if_moved()
            case SignalMeaning.NOTHING:
                self._log.warning("signal_ignored", signal=number.name)

    def _on_stop_signal(self, meaning: SignalMeaning, number: signal.Signals) -> None:
        force = meaning is SignalMeaning.STOP_AT_ONCE or self._stop_wanted.is_set()
        self._log.info("stop_asked", by=asker(number), force=force)
        if self._resources.terminal and not force:
            self._say_what_is_waited_for(self._resources.terminal)
        self._stop_wanted.set()
        self._run_in_background(self.stop(force))

    def _say_what_is_waited_for(self, terminal: TerminalOutput) -> None:
        connections = sum(worker.connections for worker in self._app.status().workers)
        if connections:
            patience = format_duration(self._app.config.kill_timeout)
            text = (
                f"waiting up to {patience} for what is under way on {connections} open connection"
                f"{'s' if connections > 1 else ''}; once more (^C) stops at once\n"
            )
            terminal.show("err", b"", self._reporter.shown(f"fastlb | {text}").encode())

    def _on_hangup(self, number: signal.Signals) -> None:
        # A closed terminal sends SIGHUP as well; it ends a foreground app, kill(1) reloads it.
        if self._had_terminal and not _has_terminal():
            self._on_stop_signal(SignalMeaning.STOP, number)
        else:
            self._app.ask(OperationRequest(Operation.RELOAD, asker(number)))

    def _on_unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        trace = "".join(traceback.format_exception(error)) if error else ""
        self._log.error("unhandled_error", reason=context["message"], traceback=trace)

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def asker(number: signal.Signals) -> str:
    """Return who asks for something, for the log."""
    return f"signal {number.name}"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
