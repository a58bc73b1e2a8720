"""Owns the parts of a running app and how the requests of users reach them. Runs in the supervisor process.

It wires and orders; what follows from an event is decided in workers/ (transitions.py, roster.py,
reload.py) and processes/ (backoff.py, hang.py). A stop always wins over any other operation.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from .abandonment import Abandonment, AbandonmentParts
from .actions.files import ActionFiles
from .actions.triggering import Actions
from .app_resources import AppResources
from .autoscaling.watch import Autoscaling, AutoscalingParts
from .canary.order import CanaryOrder
from .canary.trial import TrialParts
from .control.progress import Progress
from .control.protocol import AppDetails, AppEntry, AppMetrics, Changes, WorkersAction
from .dispatcher.keeper import DispatcherKeeper
from .dispatcher.refusal import Refusal
from .errored_retry import ErroredRetry
from .errors import EXIT_USAGE, StartFailed
from .generations.change import NO_CHANGE, Change
from .generations.generations import Generations
from .health.watch import HealthWatch
from .limits.watch import LimitWatch
from .lookout import Lookout
from .operations import PERSON, STOPPED, Operation, OperationRequest, Operations, T, Work
from .output.worker_output import WorkerOutput
from .processes.environment import number_remark
from .processes.reaper import Reaper
from .processes.resource_limits import descriptor_limit
from .schedule.cron_restart import CronRestart
from .settings.app_config import AppConfig
from .settings.changes import changed_settings
from .settings.secret_values import SecretValues
from .settings.traits import WorkerTraits
from .sockets.listeners import close_all
from .status import StatusReport, StatusSources
from .steering import Steering
from .strays.of_app import Strays
from .strays.token import new_run
from .succession.successor import Bequest, Successor, start_successor
from .turnover import OnProgress, Replacer, Turnover, TurnoverParts, check_target_workers, count_of, ignore_progress
from .watch.file_watch import FileWatch, WatchParts
from .workers.bounds import low_limit_warning
from .workers.crew import Crew
from .workers.host import HostParts, WorkerHost
from .workers.runtime import RuntimeParts, WorkerRuntime, make_runtime

TakeOver = Callable[[Successor, OnProgress], Coroutine[Any, Any, str]]
# A dispatcher that holds nothing has nothing to wait for.
FORCED_QUIT_TIMEOUT = 1.0
SUCCEEDED = "another supervisor runs the app now: try again"


class App:
    """One app that runs: its dispatcher and its workers. Make it on the event loop.

    Args:
        config: the settings that it begins with.
        traits: of the app's kind of workers.
        resources, output: borrowed.

    Attributes:
        abandonment: sees when no worker runs any more and none will by itself.
        remarks: what its user may not expect, one sentence each.
        steering: speaks to the workers.
        actions: asks the workers to do something.
    """

    def __init__(self, config: AppConfig, traits: WorkerTraits, resources: AppResources, output: WorkerOutput) -> None:
        self._loop = asyncio.get_running_loop()
        self._generations = Generations(config, traits, resources.environment)
        self._resources = resources
        self._operations = Operations(resources.log)
        self._reaper = Reaper(self._loop, adopts_orphans=resources.adopts_orphans)
        self._strays = Strays(new_run(resources.paths), self._reaper, resources.log)
        self._keeper = DispatcherKeeper(config, resources.listeners, self._reaper, resources.log)
        self._traits = traits
        self.remarks: list[str] = []
        self._runtime = self._make_runtime()
        log, paths, score = resources.log, resources.paths, resources.worker_oom_score
        parts = HostParts(self._runtime, self._reaper, self._strays, output, log, paths, score, resources.first_number)
        self._host = host = WorkerHost(self._generations, parts)
        host.on_given_up = self._look_whether_abandoned
        self._crew = Crew(self._generations, self._traits, host, resources.tenure.stopped)
        self._autoscaling = Autoscaling(
            AutoscalingParts(self._generations, self._crew, host.cgroups, resources.paths, resources.log)
        )
        self.steering = Steering(self._crew, resources.log, is_served=self._traits.needs_dispatcher)
        self.actions = Actions(self._crew, log, ActionFiles(paths.logs_dir, config.name))
        refusal = Refusal(config, resources.listeners, self._keeper)
        waits = resources.restarts_on_change
        self.abandonment = Abandonment(
            AbandonmentParts(self._crew, self._runtime, refusal, resources.log, lambda: self.config.autorestart, waits)
        )
        host.on_exit = self.abandonment.note_exit
        self._health = HealthWatch(self._generations, lambda: self._crew.members, self._reaper, resources.log)
        host.on_started = self._health.begin
        self._watch = self._make_watch()
        self._cron_restart = CronRestart(lambda: self.config, resources.log)
        self._status = self._make_status(host, output)
        limits = LimitWatch(self._generations, host.cgroups, lambda: self._crew.members, resources.log)
        self._replacers: tuple[Replacer, ...] = (limits, self._health)
        self._retry = ErroredRetry(lambda: self.config, self._crew)
        self._turnover = self._make_turnover()
        self._hide_secrets()
        self._lookout = Lookout(lambda: self.config, self._look_once, resources.log)
        self._ending: asyncio.Task[None] | None = None
        self._is_forced = self._is_succeeded = False

    def _make_status(self, host: WorkerHost, output: WorkerOutput) -> StatusReport:
        sources = StatusSources(
            config=self.config,
            generations=self._generations,
            traits=self._traits,
            crew=self._crew,
            host=host,
            keeper=self._keeper,
            addresses=self.addresses,
            messages=self._messages,
            ailment=self._health.ailment,
            autoscaling=self._autoscaling.entry,
            paths=self._resources.paths,
            origins=self._resources.origins,
            output=output,
            hide=lambda text: self._resources.log.hide(text),
            cron_next_at=lambda: self._cron_restart.next_at,
        )
        return StatusReport(sources)

    @property
    def config(self) -> AppConfig:
        """The settings of the newest generation."""
        return self._generations.config

    @property
    def wanted(self) -> AppConfig:
        """The settings of the next generation, and of a later start."""
        return self._generations.wanted

    @property
    def target_workers(self) -> int:
        """How many workers there are to be."""
        return self._crew.target_workers

    def addresses(self) -> list[str]:
        """Return where the app listens now."""
        return [listener.address for listener in self._resources.listeners] + self._runtime.other_addresses

    def _messages(self) -> dict[str, int]:
        return self._runtime.messages

    def status(self) -> AppEntry:
        """Return what `list` says of the app."""
        return self._status.entry(self._operations)

    def details(self) -> AppDetails:
        """Return what `show` says of the app."""
        return self._status.details(self._operations)

    def metrics(self) -> AppMetrics:
        """Return all that is counted of the app."""
        return self._status.metrics(self._operations)

    def announce_to(self, announcer: Callable[[], None]) -> None:
        """Call `announcer` whenever another operation begins, or the last one has ended."""
        self._operations.on_change = announcer

    def failure(self) -> str:
        """Return why the last operation failed; "": it did not."""
        return self._resources.log.hide(self._operations.failure)

    async def start(self, progress: OnProgress, *, wait: bool = True) -> None:
        """Start the dispatcher and all workers; return when they are admitted and (`wait`) have lived for `settle`.

        Raises:
            StartFailed: with the worker's traceback in `details`; nothing runs any more.
        """
        settle = self._turnover.settle if wait else 0.0
        await self._run(Operation.START, lambda: self._start(progress, settle))
        self._autoscaling.remember()
        self.abandonment.look()

    async def update(self, python: str, take_over: TakeOver, progress: OnProgress) -> str:
        """Have another supervisor take the place of this one, which then only has to be stopped. Returns a sentence.

        Args:
            python: the interpreter whose fastlb it is of.
            take_over: carries the exchange out, and has `stop` called as soon as it has returned: what waits is the
                successor's to do.
            progress: is told how it goes.

        Raises:
            StartFailed: it did not start; nothing was changed.
            BusyError: as of `restart`.
        """

        async def work() -> str:
            successor = start_successor(self._resources.tenure, self._bequest(), python, self._reaper)
            try:
                text = await take_over(successor, progress)
            except BaseException:
                self._resources.paths.remove_notify_sockets(self._host.next_number)  # its numbers are above ours
                raise
            self._is_succeeded = True
            return text

        return await self._run(Operation.UPDATE, work, progress, is_particular=True)

    def _bequest(self) -> Bequest:
        # What the load or a pin has made of the number is remembered apart from what the settings ask for.
        config = self.wanted if self._autoscaling.plan else replace(self.wanted, workers=self.target_workers)
        inherited = self._generations.of(self._generations.current).inherited
        return Bequest(config, inherited, self._host.next_number, self._resources.worker_oom_score, self._crew.held)

    async def stop(self, force: bool = False) -> None:
        """Drain the workers and end everything; with `force` at once. May be called again while it runs."""
        self._operations.close(SUCCEEDED if self._is_succeeded else STOPPED)
        if force:
            self._is_forced = True
            self._crew.kill()
            if self._ending:
                self._keeper.kill()  # it may be what the stop waits for
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def restart(self, progress: OnProgress, change: Change = NO_CHANGE) -> str:
        """Drain all workers and start new ones; connections wait meanwhile. Returns a sentence.

        No two generations get connections at once. New workers start when the old ones get none any more, or are gone
        if their kind needs that.

        Raises:
            StartFailed: they are stopped and did not start; another restart or reload may try again.
            BusyError: the app is being stopped, or too many operations wait.
            UsageError: the change makes no sense, or takes a stop and a start.
        """
        return await self._run(
            Operation.RESTART,
            lambda: self._turnover.restart(progress, change),
            progress,
            is_particular=change != NO_CHANGE,
        )

    async def reload(self, progress: OnProgress, parallel: int | None = None, change: Change = NO_CHANGE) -> str:
        """Replace the workers by new ones, which have the change, without losing a request. Returns a sentence.

        Raises:
            StartFailed: says how far it came; old workers that were not replaced go on.
            BusyError, UsageError: as of `restart`.
        """
        is_particular = parallel is not None or change != NO_CHANGE
        work = partial(self._turnover.reload, progress, parallel, change)
        return await self._run(Operation.RELOAD, work, progress, is_particular=is_particular)

    async def canary(self, progress: OnProgress, order: CanaryOrder, change: Change) -> str:
        """Try new code with a few workers beside the others, then replace all, or none. Returns a sentence.

        Raises:
            RolledBack: it did worse, or did not prove itself; the old workers have gone on.
            StartFailed: it did not start, and nothing has changed; or, after the trial, as of `reload`.
            BusyError, UsageError: as of `restart`.
        """
        work = partial(self._turnover.canary, progress, order, change)
        return await self._run(Operation.CANARY, work, progress, is_particular=True)

    def changes(self, config: AppConfig) -> Changes:
        """Return what would be other settings than those of the newest workers."""
        return Changes(changed_settings(self.config, config), self._generations.needing_start(config))

    async def set(self, assignments: Sequence[str], unset: Sequence[str]) -> str:
        """Change settings of the next generation, and of later starts, by words. Returns a sentence.

        Raises:
            UsageError: the words make no sense, or it takes a stop and a start; nothing was changed.
            BusyError: as of `restart`.
            FastlbError: it could not be written down.
        """
        return await self._run(Operation.SET, lambda: self._turnover.set(assignments, unset), is_particular=True)

    async def scale(self, target_workers: int, progress: OnProgress, *, is_change: bool = False) -> str:
        """Have `target_workers`, now and after a stop: new ones start, or the newest drain. Returns a sentence.

        With `is_change` so many more, or fewer, than there are to be when its turn has come.

        Raises:
            StartFailed: the new ones did not start; the others go on untouched.
            BusyError: the app is being stopped, or too many operations wait.
            UsageError: no such number of workers can be.
            FastlbError: it is done, but could not be written down, or workers that were given up are among them.
        """
        check_target_workers(target_workers + is_change * self.target_workers)

        def work() -> Coroutine[Any, Any, str]:
            return self._turnover.scale(target_workers + is_change * self.target_workers, progress)

        return await self._run(Operation.SCALE, work, progress, is_particular=True)

    async def scale_by_load(self) -> str:
        """Let the number of workers follow the load again, where a person had pinned it. Returns a sentence.

        Raises:
            UsageError: the app is not scaled by its load.
            BusyError: as of `restart`.
            FastlbError: it could not be written down.
        """
        return await self._run(Operation.SCALE, self._turnover.unpin, is_particular=True)

    async def change_workers(self, action: WorkersAction, worker_ids: Sequence[int]) -> str:
        """Do something to some workers while the others go on. Returns a sentence.

        Raises:
            StartFailed: one did not start.
            BusyError: the app is being stopped, or too many operations wait.
            UsageError: there is no such worker, or none would be left.
        """
        operation = Operation.REPLACE if action in ("restart", "reload") else Operation.SCALE
        return await self._run(operation, lambda: self._turnover.change_workers(action, worker_ids), is_particular=True)

    async def _run(
        self, operation: Operation, work: Work[T], progress: OnProgress | None = None, *, is_particular: bool = False
    ) -> T:
        """Have an operation done for a person, who is told what it waits for."""

        def tell(text: str) -> None:
            if progress:
                progress(Progress(text, 0, self.target_workers))

        request = OperationRequest(operation, PERSON, is_particular=is_particular)
        return await self._operations.run(request, work, tell)

    def what_runs(self) -> str:
        """Return a sentence for whoever has started the app."""
        name, addresses = self.config.name, ", ".join(self.addresses())
        if self.abandonment.is_job_done:
            return f"{name} has finished"
        if self._traits.mode == "cluster":
            return f"{name} listens on {addresses}"
        shared = f", which share {addresses}" if addresses else ""
        return f"{name} runs in fork mode: {count_of(self.target_workers, 'process')}{shared}"

    def ask(self, request: OperationRequest) -> bool:
        """Carry out a request that nobody at a terminal waits for, now or when its turn comes; the log is told.

        Returns whether that will be.
        """
        works: dict[Operation, Callable[[], Coroutine[Any, Any, str]]] = {
            Operation.RELOAD: lambda: self._turnover.reload(ignore_progress, None, NO_CHANGE),
            Operation.RESTART: lambda: self._turnover.restart(ignore_progress, NO_CHANGE),
            Operation.SCALE: lambda: self._turnover.scale(self.target_workers + request.change, ignore_progress),
            Operation.RETRY: self._turnover.retry_errored,
        }
        return self._operations.ask(request, works[request.operation])

    async def _start(self, progress: OnProgress, settle: float) -> None:
        per_worker = self._generations.of(self._generations.current).environment.per_worker
        if remark := number_remark(name for name in per_worker if name not in self.config.env):
            self._remark(remark)  # of env_file: of the others whoever asked was told
        warning = low_limit_warning(self.config, self._traits, descriptor_limit())
        if warning:
            self._resources.log.warning("low_descriptor_limit", reason=warning)
        self._lookout.look()
        try:
            # Each program has a port of its own, and an old one may still hold it.
            if not self._resources.tenure.is_successor:  # else they are another's, who has not left them
                await self._strays.end_left_over(self.config, is_in_the_way=not self._traits.needs_dispatcher)
            if self._traits.needs_dispatcher:
                await self._keeper.start()
            try:
                await self._turnover.start_missing(progress, settle)
            except StartFailed as error:
                if not self._resources.restarts_on_change or error.exit_code == EXIT_USAGE:
                    raise
                self._resources.log.error("waits_for_change", reason=error.message)
        except BaseException:
            await self._end_processes()
            raise

    def _look_whether_abandoned(self) -> None:
        if self._operations.current is None:
            self.abandonment.look()

    async def _end(self) -> None:
        """End everything that runs; may be called once."""
        self.abandonment.close()
        self._health.close()
        self._watch.close()
        await self._operations.wait_until_idle()
        await self._end_processes()
        self._lookout.close()
        self._keeper.close()
        self._strays.close()

    def _remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)
            self._resources.log.info("remark", reason=text)

    def _make_runtime(self) -> WorkerRuntime:
        parts = RuntimeParts(
            config=self.config,
            environment=self._generations.of(self._generations.current).environment,
            generations=self._generations,
            traits=self._traits,
            listeners=self._resources.listeners,
            log=self._resources.log,
            keeper=self._keeper,
            target_workers=lambda: self.target_workers,
            living_generations=lambda: self._crew.living_generations,
            remark=self._remark,
        )
        return make_runtime(parts)

    def _hide_secrets(self) -> None:
        self._resources.log.hide = SecretValues(*self._generations.given_variables).hide

    def _make_turnover(self) -> Turnover:
        parts = TurnoverParts(
            crew=self._crew,
            generations=self._generations,
            traits=self._traits,
            abandonment=self.abandonment,
            retry=self._retry,
            autoscaling=self._autoscaling,
            trial=TrialParts(self._crew, self._health.ailment, self._resources.log),
            paths=self._resources.paths,
            has_listeners=lambda: bool(self._resources.listeners),
            on_settings=self._hide_secrets,
            waits_for_change=self._resources.restarts_on_change,
        )
        return Turnover(parts)

    def _make_watch(self) -> FileWatch:
        parts = WatchParts(
            config=lambda: self.config,
            paths=self._resources.paths,
            log=self._resources.log,
            ask=self.ask,
            is_served=lambda: self._crew.is_served,
            remark=self._remark,
            operation=Operation.RESTART if self._resources.restarts_on_change else Operation.RELOAD,
        )
        return FileWatch(parts)

    async def _end_processes(self) -> None:
        if self._traits.finishes_through_dispatcher:
            await self._end_workers()
            await self._keeper.quit(FORCED_QUIT_TIMEOUT)
            return
        await self._keeper.quit(FORCED_QUIT_TIMEOUT if self._is_forced else self.config.kill_timeout)
        await self._end_workers()

    async def _end_workers(self) -> None:
        # Who comes now is refused, instead of waiting for nobody.
        self._runtime.close()
        close_all(self._resources.listeners)
        if self._is_forced:
            self._crew.kill()
        await self._crew.end(app_ends=not self._is_succeeded)

    def _look_once(self, elapsed: float) -> None:
        """Look after everyone who may hang, and after orphans; `elapsed`: attended seconds since the last look."""
        self._keeper.check(elapsed)
        self._crew.find_hung(elapsed, self._lookout.attention)
        self._crew.find_impeded(elapsed)
        self._look_whether_abandoned()  # the word may have come in the last moment of an operation
        for replacer in self._replacers:
            if replacer.is_wanted() and self._operations.current is None:
                request = OperationRequest(Operation.REPLACE, by=replacer.asker)
                self._operations.ask(request, partial(self._turnover.replace, replacer))
        if self._autoscaling.is_wanted() and self._operations.current is None:
            request = OperationRequest(Operation.SCALE, by=self._autoscaling.asker, is_particular=True)
            self._operations.ask(request, self._turnover.autoscale)
        if self._operations.current is None and self._retry.is_due():
            self.ask(OperationRequest(Operation.RETRY, by="errored_retry"))
        if self._operations.current is not Operation.STOP:
            self._cron_restart.look(self.ask)
        self._watch.follow_settings()
        self._host.look_for_oom_kills()
        self._status.look()
        self._forget_old_generations()
        self._reaper.collect_orphans()

    def _forget_old_generations(self) -> None:
        """Give up what only generations needed that are gone.

        Not while an operation runs: the next generation may not have come to ask for what the last one had.
        """
        generations = {member.generation for member in self._crew.members}
        if generations and self._operations.current is None:
            self._runtime.keep_only(generations)
            self._generations.keep_only(generations)
