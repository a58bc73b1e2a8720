"""Owns what each method of the control socket does. Runs in the supervisor process, on its event loop.

A fixed table leads from a method's name to a function; a name is never looked up in an object. Parameters are
typed: what does not fit is refused before anything happens.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from ..canary.order import CanaryOrder, CanaryRules, check_order
from ..errors import FastlbError, UsageError
from ..generations.change import Change
from ..output.follower import Subscription
from ..output.worker_output import WorkerOutput
from ..processes.environment import decoded_environment
from ..settings.app_config import MAX_WORKERS, AppConfig
from ..settings.quantities import format_duration
from ..suggestions import did_you_mean, harmless
from .framing import ControlRequest, RequestError, encode_notification
from .progress import Progress
from .protocol import (
    ERROR_INVALID_PARAMS,
    ERROR_UNKNOWN_METHOD,
    METHODS,
    AlertEntry,
    AlertsParams,
    AlertsReport,
    AppDetails,
    AppEntry,
    AppMetrics,
    CanaryParams,
    Changes,
    ChangesParams,
    Done,
    LogsParams,
    MetricsParams,
    ReloadParams,
    ResetParams,
    RestartParams,
    ScaleParams,
    SendParams,
    SetParams,
    SignalParams,
    StopParams,
    TriggerParams,
    UpdateParams,
    WorkerAnswer,
    WorkersAction,
    WorkersParams,
)

E = TypeVar("E", bound=AppEntry)
# Fewer than connections of a user, so that a `stop` always finds one.
MAX_FOLLOWERS = 16
LONGEST_SILENCE = 366 * 86400.0


class ControlledApp(Protocol):
    """What the control socket can do to an app: the part of App that is used here."""

    @property
    def target_workers(self) -> int:
        """How many workers there are to be."""

    def status(self) -> AppEntry:
        """For `list`."""

    def details(self) -> AppDetails:
        """For `show`."""

    def metrics(self) -> AppMetrics:
        """For `metrics`."""

    async def restart(self, progress: Callable[[Progress], None], change: Change) -> str:
        """Stop and start all workers; return a sentence."""

    async def reload(self, progress: Callable[[Progress], None], parallel: int | None, change: Change) -> str:
        """Replace all workers by new ones; return a sentence."""

    async def canary(self, progress: Callable[[Progress], None], order: CanaryOrder, change: Change) -> str:
        """Try new code beside the old, then replace all workers or none; return a sentence."""

    def changes(self, config: AppConfig) -> Changes:
        """Return what would differ."""

    async def set(self, assignments: Sequence[str], unset: Sequence[str]) -> str:
        """Change settings of the next generation; return a sentence."""

    async def scale(
        self, target_workers: int, progress: Callable[[Progress], None], *, is_change: bool = False
    ) -> str:
        """Have so many workers, or so many more; return a sentence."""

    async def scale_by_load(self) -> str:
        """Let the number of workers follow the load again; return a sentence."""

    async def change_workers(self, action: WorkersAction, worker_ids: list[int]) -> str:
        """Do something to some workers; return a sentence."""

    @property
    def steering(self) -> "Steers":
        """Speaks to the workers."""


    @property
    def actions(self) -> "Triggers":
        """Asks the workers to do something."""


class Alerts(Protocol):
    """What is wrong with an app: the part of AlertWatch that is used here."""

    def entries(self) -> list[AlertEntry]:
        """Return the alerts that are on."""

    def report(self) -> AlertsReport:
        """Return what is on, and who is told."""

    async def test(self) -> AlertsReport:
        """Tell everybody that nothing is wrong."""

    def silence(self, seconds: float) -> AlertsReport:
        """Tell nobody for so long."""


class Triggers(Protocol):
    """What workers can be asked to do: the part of Actions that is used here."""

    async def trigger(self, params: TriggerParams, on_answer: Callable[[WorkerAnswer], Awaitable[None]]) -> str:
        """Ask workers for an action; return a sentence."""


class Steers(Protocol):
    """What can be said to the workers of an app: the part of Steering that is used here."""

    def send(self, line: str, worker_id: int | None) -> str:
        """Write a line to the standard input of workers; return a sentence."""

    def signal(self, number: int, worker_id: int | None) -> str:
        """Send a signal to the processes of workers; return a sentence."""

    def reset(self, worker_ids: list[int]) -> str:
        """Count the restarts of these workers, or of all, from 0 again; return a sentence."""


class Caller(Protocol):
    """The client that a request came from."""

    def notify(self, message: bytes) -> None:
        """Send a notification, or drop it when the client does not read."""

    async def send(self, message: bytes) -> None:
        """Send, and wait while the client does not read."""

    async def hung_up(self) -> None:
        """Return when the client has closed its end."""


class ControlRequests:
    """Carries requests out.

    Args:
        app: the App.
        output: for `logs`.
        stop: ends the app and, soon after it returned, this process; the argument is `force`.
        update: has another supervisor take our place, of the fastlb that an interpreter has; returns a sentence.
        alerts: what is wrong with the app.

    Attributes:
        complete: puts into the answer to `metrics` what only the app itself knows.
    """

    def __init__(
        self,
        app: ControlledApp,
        output: WorkerOutput,
        stop: Callable[[bool], Awaitable[None]],
        update: Callable[[str, Callable[[Progress], None]], Awaitable[str]],
        alerts: Alerts,
    ) -> None:
        self._app = app
        self._output = output
        self._stop = stop
        self._update = update
        self._alerts = alerts
        self.complete: Callable[[AppMetrics], Awaitable[AppMetrics]] = _as_it_is
        self._handlers: dict[str, Callable[[Any, Caller], Awaitable[object]]] = {
            "ping": self._ping,
            "list": self._list,
            "show": self._show,
            "metrics": self._metrics,
            "stop": self._handle_stop,
            "update": self._handle_update,
            "restart": self._restart,
            "reload": self._reload,
            "canary": self._canary,
            "changes": self._changes,
            "set": self._set,
            "scale": self._scale,
            "workers": self._workers,
            "send": self._send,
            "reset": self._reset,
            "signal": self._signal,
            "trigger": self._trigger,
            "alerts": self._handle_alerts,
            "logs": self._logs,
            "reopen_logs": self._reopen_logs,
        }

    async def handle(self, request: ControlRequest, caller: Caller) -> object:
        """Do what a request says and return its result.

        Raises:
            RequestError: no such method, or parameters that do not fit.
            FastlbError: it was tried and failed.
        """
        params = decode_params(request)
        return await self._handlers[request.method](params, caller)

    async def _ping(self, _: object, __: Caller) -> Done:
        return Done("pong")

    async def _list(self, _: object, __: Caller) -> AppEntry:
        return self._with_alerts(self._app.status())

    async def _show(self, _: object, __: Caller) -> AppDetails:
        return self._with_alerts(self._app.details())

    async def _metrics(self, params: MetricsParams, _: Caller) -> AppMetrics:
        metrics = self._with_alerts(self._app.metrics())
        return await self.complete(metrics) if params.own else metrics

    def _with_alerts(self, entry: E) -> E:
        entry.alerts = self._alerts.entries()
        return entry

    async def _handle_stop(self, params: StopParams, _: Caller) -> Done:
        await self._stop(params.force)
        return Done("stopped")

    async def _handle_update(self, params: UpdateParams, caller: Caller) -> Done:
        return Done(await self._update(params.python, _progress_to(caller)))

    async def _restart(self, params: RestartParams, caller: Caller) -> Done:
        return Done(await self._app.restart(_progress_to(caller), change_in(params)))

    async def _reload(self, params: ReloadParams, caller: Caller) -> Done:
        if params.parallel is not None and not 1 <= params.parallel <= MAX_WORKERS:
            raise UsageError(f"--parallel {params.parallel}: must be 1 to {MAX_WORKERS}")
        return Done(await self._app.reload(_progress_to(caller), params.parallel, change_in(params)))

    async def _canary(self, params: CanaryParams, caller: Caller) -> Done:
        rules = CanaryRules(params.duration, params.min_requests, params.max_errors, params.max_slowdown)
        order = CanaryOrder(rules, params.percent, params.health, caller.hung_up)
        check_order(order)
        return Done(await self._app.canary(_progress_to(caller), order, change_in(params)))

    async def _changes(self, params: ChangesParams, _: Caller) -> Changes:
        return self._app.changes(config_in(params.config))

    async def _set(self, params: SetParams, _: Caller) -> Done:
        return Done(await self._app.set(params.assignments, params.unset))

    async def _scale(self, params: ScaleParams, caller: Caller) -> Done:
        if params.auto and params.workers is params.change is None:
            return Done(await self._app.scale_by_load())
        target = scale_target(params, self._app.target_workers)
        if params.change is not None:
            # Counted from what there is when its turn has come: another scale may go before.
            return Done(await self._app.scale(params.change, _progress_to(caller), is_change=True))
        return Done(await self._app.scale(target, _progress_to(caller)))

    async def _workers(self, params: WorkersParams, _: Caller) -> Done:
        return Done(await self._app.change_workers(params.action, params.workers))

    async def _send(self, params: SendParams, _: Caller) -> Done:
        return Done(self._app.steering.send(params.line, params.worker))

    async def _signal(self, params: SignalParams, _: Caller) -> Done:
        return Done(self._app.steering.signal(params.signal, params.worker))

    async def _reset(self, params: ResetParams, _: Caller) -> Done:
        return Done(self._app.steering.reset(params.workers))

    async def _trigger(self, params: TriggerParams, caller: Caller) -> Done:
        async def tell(answer: WorkerAnswer) -> None:
            with contextlib.suppress(ConnectionError):  # whoever has asked is gone
                await caller.send(encode_notification("answer", answer))

        return Done(await self._app.actions.trigger(params, tell))

    async def _handle_alerts(self, params: AlertsParams, _: Caller) -> AlertsReport:
        if params.action == "test":
            return await self._alerts.test()
        if params.action == "silence":
            if not 0 <= params.seconds <= LONGEST_SILENCE:
                raise UsageError(f"a silence is at most {format_duration(LONGEST_SILENCE)} long")
            return self._alerts.silence(params.seconds)
        return self._alerts.report()

    async def _reopen_logs(self, _: object, __: Caller) -> Done:
        await self._output.reopen()
        return Done("log files are opened anew")

    async def _logs(self, params: LogsParams, caller: Caller) -> Done:
        if self._output.subscriber_count >= MAX_FOLLOWERS:
            raise FastlbError(f"{MAX_FOLLOWERS} commands follow the logs of this app already: end one of them")
        with self._output.subscribed(params.stream, params.others) as subscription:
            # What the files hold up to here is not sent; everything after it is.
            caller.notify(encode_notification("following", {"ends": await self._output.ends()}))
            forwarding = asyncio.create_task(_forward(subscription, caller))
            hanging_up = asyncio.create_task(caller.hung_up())
            try:
                await asyncio.wait({forwarding, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                forwarding.cancel()
                hanging_up.cancel()
                await asyncio.gather(forwarding, hanging_up, return_exceptions=True)
        return Done("")


async def _as_it_is(metrics: AppMetrics) -> AppMetrics:
    return metrics


def decode_params(request: ControlRequest) -> msgspec.Struct:
    """The parameters of a request as the struct of its method.

    Raises:
        RequestError: no such method (names the nearest), or a parameter does not fit (names it).
    """
    params_type = METHODS.get(request.method)
    if params_type is None:
        raise RequestError(ERROR_UNKNOWN_METHOD, _unknown_method(request.method), request.id)
    try:
        return msgspec.json.decode(request.params, type=params_type)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        message = f"{request.method}: wrong parameters: {error}"
        raise RequestError(ERROR_INVALID_PARAMS, message, request.id) from error


def scale_target(params: ScaleParams, workers: int) -> int:
    """The number of workers that a `scale` asks for, from the present one.

    Raises:
        UsageError: both or none of the parameters, or a result that cannot be.
    """
    if params.auto:
        raise UsageError("scale: say either a number of workers, or auto")
    if params.workers is not None and params.change is None:
        target = params.workers
    elif params.change is not None and params.workers is None:
        target = workers + params.change
    else:
        raise UsageError("scale: say either how many workers, or how many more or fewer")
    if not 1 <= target <= MAX_WORKERS:
        raise UsageError(f"an app has 1 to {MAX_WORKERS} workers, not {target}: use stop to have none")
    return target


def change_in(params: RestartParams) -> Change:
    """Return what the parameters of a reload or restart bring.

    Raises:
        UsageError: the settings are none; the message names the field.
    """
    config = None if params.config is None else config_in(params.config)
    return Change(config, None if params.environment is None else decoded_environment(params.environment))


def config_in(settings: dict[str, Any]) -> AppConfig:
    """Return settings that came in a message.

    Raises:
        UsageError: a field is unknown or has another type; the message names it.
    """
    try:
        return msgspec.convert(settings, AppConfig)
    except msgspec.ValidationError as error:
        raise UsageError(f"the settings cannot be understood: {error}") from None


def _unknown_method(method: str) -> str:
    shown = method[:64]
    hint = did_you_mean(shown, harmless(METHODS)) or f"; there are: {', '.join(METHODS)}"
    return f"unknown method {shown!r}{hint}"


def _progress_to(caller: Caller) -> Callable[[Progress], None]:
    return lambda progress: caller.notify(encode_notification("progress", progress))


async def _forward(subscription: Subscription, caller: Caller) -> None:
    while True:
        chunk = await subscription.take()
        texts = chunk.lines.decode(errors="backslashreplace").removesuffix("\n").split("\n")
        about = {"stream": chunk.stream, "worker": chunk.worker, "pid": chunk.pid, "time": chunk.time}
        notes = (encode_notification("line", {**about, "text": text}) for text in texts)
        await caller.send(b"".join(notes))
