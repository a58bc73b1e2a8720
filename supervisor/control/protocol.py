"""Owns the protocol of the control socket: JSON-RPC 2.0, one message a line, at most MAX_MESSAGE_BYTES.

A request is answered by 0..n notifications and then one reply:

    request       {"jsonrpc":"2.0","id":1,"method":"scale","params":{"workers":4}}\n
    notification  {"jsonrpc":"2.0","method":"progress","params":{"text":"worker 2 is admitted"}}\n
    reply         {"jsonrpc":"2.0","id":1,"result":{...},"protocol":2}\n
    error reply   {"jsonrpc":"2.0","id":1,"protocol":2,"error":{"code":-32000,"message":"...",
                   "data":{"exit_code":1,"details":"..."}}}\n

Frozen for ever, in this file and in tests/support/recorded: that a message is a line, the fields above, and the methods
FROZEN_METHODS with their parameters and with the fields that their results have here without a default. So any
command can see, replace and stop an app of any version. SIGTERM (drain and end), SIGQUIT (at once) and SIGHUP (reload)
are, too.

Both ends import it: supervisor and command line. No I/O. Unknown methods and wrong types are errors that name
the field.
"""

from typing import Any, Literal

import msgspec

# Goes up with a change that the other side would misunderstand: docs/decisions/frozen-part-of-the-control-protocol.md.
PROTOCOL_VERSION = 2
MAX_MESSAGE_BYTES = 1 << 20
ERROR_PARSE = -32700
ERROR_INVALID_REQUEST = -32600
ERROR_UNKNOWN_METHOD = -32601
ERROR_INVALID_PARAMS = -32602
ERROR_FAILED = -32000

WorkerStatus = Literal[
    "starting",
    "ready",
    "online",
    "unready",
    "unhealthy",
    "draining",
    "stopping",
    "exited",
    "backoff",
    "errored",
    "finished",
    "stopped",
]
WorkersAction = Literal["stop", "start", "restart", "reload", "delete"]
AppStatus = Literal[
    "starting", "online", "degraded", "reloading", "stopping", "stopped", "died", "errored", "finished", "unresponsive"
]


class WorkerEntry(msgspec.Struct, kw_only=True):
    """One worker in `list --json`; the order of the fields is the order in the output.

    `requests` is None where nobody counts them: in a Node worker there is no code of ours. `p50_ms`, `p99_ms`: within
    how many milliseconds it answered so many percent of the requests of the last minute; None: of none. `impediment`:
    why it gets fewer connections than it could, a phrase that follows "worker 1". `last_exit`: how its last process
    ended that was not asked to go; empty: none did. `unstable_restarts`: exits in a row that came soon after it was
    ready. `pm_id`: its number over all apps of the home; the command line fills it in. `said`: what its process says
    of itself (STATUS= of sd_notify).
    """

    id: int
    pid: int | None
    status: WorkerStatus
    uptime_s: float
    restarts: int
    connections: int
    requests: int | None
    rss_bytes: int
    cpu_percent: float
    generation: int = 1
    errors: int = 0
    impediment: str = ""
    last_exit: str = ""
    unstable_restarts: int = 0
    pm_id: int | None = None
    said: str = ""
    p50_ms: float | None = None
    p99_ms: float | None = None


class OperationEntry(msgspec.Struct):
    """What is done to an app, or is to be. `operation`: "reload"; `by`: "person", "signal SIGHUP", "limit"."""

    operation: str
    by: str
    state: Literal["runs", "waits"]


class AutoscalingEntry(msgspec.Struct):
    """How an app is scaled by its load.

    `mode`: whether a person has said how many workers there are to be (`fastlb scale NAME N`). `last_decision`: which
    step was made last, or held back, and why; empty: none. `decided_at`: when, UTC.
    """

    mode: Literal["auto", "pinned"]
    min_instances: int
    max_instances: int
    last_decision: str = ""
    decided_at: str = ""


class AlertEntry(msgspec.Struct):
    """An alert of an app that is on.

    `name`: as in settings/alerting.py. `began_at`: UTC, as in events. `text`: what is wrong, with the figures.
    """

    name: str
    began_at: str
    text: str


class ChannelEntry(msgspec.Struct):
    """By which somebody is told of alerts. `title`: which, without secrets. `problem`: why it took nothing, or ""."""

    title: str
    problem: str = ""


class AlertsReport(msgspec.Struct):
    """What is wrong with an app, and who is told.

    `is_watched`: alerts are asked for. `silent_until`: UTC; until then nobody is told; empty: somebody is.
    """

    is_watched: bool
    on: list[AlertEntry] = []
    channels: list[ChannelEntry] = []
    silent_until: str = ""


class AppEntry(msgspec.Struct, kw_only=True):
    """One app in `list --json`. `pid` is the supervisor's; None for a stopped app.

    A supervisor never says `stopped`, `died` or `unresponsive` of itself: the command line says it for one that
    cannot answer. `restarts`: how often processes took the place of those that crashed, or were over a limit, since the
    supervisor was started. `version`: of the fastlb that runs it. `started_at`: UTC, 2026-01-31T13:59:59Z.
    `last_exit`: as in WorkerEntry, the latest, with the worker in front. `target_workers`: how many there are to be; 0:
    not known. `pm_ids`: of all workers, in the order of their numbers in the app; the command line fills it in.
    `operations`: what runs, then what waits, in its order. `cron_next_at`: when `cron_restart` is due next, with the
    zone: 2026-03-01T03:00:00+01:00; empty: never. `autoscaling`: None where the load decides nothing. `alerts`: that
    are on, the oldest first.
    """

    name: str
    status: AppStatus
    mode: Literal["cluster", "fork"] = "cluster"
    pid: int | None
    uptime_s: float
    restarts: int
    binds: list[str]
    balance: str
    workers: list[WorkerEntry]
    namespace: str = ""
    target: str = ""
    cwd: str = ""
    version: str = ""
    started_at: str = ""
    last_exit: str = ""
    target_workers: int = 0
    pm_ids: list[int] = []
    operations: list[OperationEntry] = []
    cron_next_at: str = ""
    autoscaling: AutoscalingEntry | None = None
    alerts: list[AlertEntry] = []


class ExitEntry(msgspec.Struct):
    """How a process of a worker ended that was not asked to.

    `at`: UTC, as in events. `error_lines`: the last that it wrote to stderr, made safe to be shown.
    """

    worker_id: int
    pid: int
    at: str
    reason: str
    error_lines: list[str] = []


class AppDetails(AppEntry, kw_only=True):
    """`show --json`: the entry plus settings (secrets hidden), files and counters.

    `settings`: those of the newest workers. `next_settings`: what the next reload or restart changes of them.
    `older_settings`: by generation, what older workers have otherwise, after a reload that stopped half way.
    `origins`: the settings that environment variables gave, each with its variable. `messages`: between workers, where
    they are forwarded. `logs`: what waits for the disk, and what it has cost. `last_exits`: at most one of each worker,
    the latest last. `memory`: of the cgroup, where one has a limit.
    """

    settings: dict[str, Any]
    next_settings: dict[str, Any] = {}
    older_settings: dict[str, dict[str, Any]] = {}
    dispatcher: dict[str, Any]
    files: dict[str, str]
    last_error: str = ""
    origins: dict[str, str] = {}
    messages: dict[str, int] = {}
    logs: dict[str, Any] = {}
    last_exits: list[ExitEntry] = []
    memory: dict[str, str] = {}


class WorkerFigures(msgspec.Struct):
    """What the entries of a worker leave out; over all of its processes, those that are gone as well.

    `cpu_seconds`: user and system time, of the newest process alone. `latency_us`: a histogram of requests that have
    ended, as in lb/page.pxd; empty: none was measured. `latency_sum_us`: how long they took together. `untaken`:
    connections that it has not taken yet. Of living processes: `busy`: connections or requests that occupy it,
    `loop_lag_s`: how late the last turn of the event loop was, `oldest_request_s`: how long the oldest request runs, 0:
    none does; None: nobody knows. `responses`: by their status; empty: there was none, or nobody counts them.
    """

    id: int
    cpu_seconds: float
    latency_us: list[int]
    latency_sum_us: int = 0
    untaken: int = 0
    busy: int | None = None
    loop_lag_s: float | None = None
    oldest_request_s: float | None = None
    responses: dict[int, int] = {}


class ListenerFigures(msgspec.Struct, kw_only=True):
    """What is counted of a listening socket.

    `accepted`, `errors`: by the present dispatcher; None: there is none. `waiting`: connections that wait in the
    kernel, at most `limit`, and `dropped`: those that it had no room for; None: the kernel does not tell, as of a unix
    socket.
    """

    address: str
    accepted: int | None = None
    errors: int | None = None
    waiting: int | None = None
    limit: int | None = None
    dropped: int | None = None


class EventCounts(msgspec.Struct, kw_only=True):
    """How often what was told in events has happened since the supervisor was started.

    `levels`: events by their level. `restarts`: processes that take the place of others, by what made that necessary.
    `decisions`: of autoscaling: up, down, held. `operations`: how each kind has ended, and `operation_seconds`: how
    long all of a kind took together.
    """

    levels: dict[str, int] = {}
    restarts: dict[str, int] = {}
    decisions: dict[str, int] = {}
    operations: dict[str, dict[str, int]] = {}
    operation_seconds: dict[str, float] = {}


class OwnSample(msgspec.Struct, array_like=True):
    """A sample of an app's own; `value` as a line of OpenMetrics has it."""

    name: str
    labels: dict[str, str]
    value: str


class OwnFamily(msgspec.Struct):
    """Metrics of one name that an app counts itself. `kind`: counter, gauge, histogram, summary or unknown."""

    name: str
    kind: str
    meaning: str
    samples: list[OwnSample]


class AppMetrics(AppEntry, kw_only=True):
    """Result of `metrics`: the entry plus all that is counted.

    `dispatcher`, `logs`: as in AppDetails. `max_memory_bytes`, `max_requests`, `max_lifetime_s`: what a worker may
    have; 0: there is no limit. `log_lines`: that the workers have written, by stream. `own`: what the app
    counts itself (metrics_app), if that was asked for, without `own_left_out` samples that had no room.
    """

    figures: list[WorkerFigures]
    dispatcher: dict[str, Any]
    logs: dict[str, Any]
    max_memory_bytes: int
    max_requests: int = 0
    max_lifetime_s: float = 0.0
    log_lines: dict[str, int] = {}
    listeners: list[ListenerFigures] = []
    events: EventCounts = msgspec.field(default_factory=EventCounts)
    own: list[OwnFamily] = []
    own_left_out: int = 0


class NoParams(msgspec.Struct, forbid_unknown_fields=True):
    """Parameters of `list`, `show`, `ping`."""


class MetricsParams(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Parameters of `metrics`; `own`: with what the app counts itself (metrics_app), which takes longer."""

    own: bool = False


class StopParams(msgspec.Struct, forbid_unknown_fields=True):
    """`force`: do not drain."""

    force: bool = False


class RestartParams(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the new workers are to have.

    `config`: every setting, an AppConfig; None: what is wanted already. `environment`: what they inherit, as in
    /proc/PID/environ; None: the same as before.
    """

    config: dict[str, Any] | None = None
    environment: bytes | None = None


class ReloadParams(RestartParams, forbid_unknown_fields=True, omit_defaults=True):
    """As RestartParams. `parallel`: replacements at a time; None: as configured."""

    parallel: int | None = None


class CanaryParams(RestartParams, forbid_unknown_fields=True, omit_defaults=True):
    """As RestartParams; the rest as CanaryOrder and CanaryRules."""

    duration: float = 600.0
    percent: float = 0.0
    min_requests: int = 100
    max_errors: float = 1.0
    max_slowdown: float = 3.0
    health: str = ""


class ChangesParams(msgspec.Struct, forbid_unknown_fields=True):
    """`config`: as in RestartParams."""

    config: dict[str, Any]


class SetParams(msgspec.Struct, forbid_unknown_fields=True):
    """`assignments`, `unset` as in settings/changes.py."""

    assignments: list[str] = []
    unset: list[str] = []


class ScaleParams(msgspec.Struct, forbid_unknown_fields=True):
    """Exactly one: `workers` (absolute), `change` (relative), or `auto`: as the load asks for."""

    workers: int | None = None
    change: int | None = None
    auto: bool = False


class WorkersParams(msgspec.Struct, forbid_unknown_fields=True):
    """`action`: what is done to the workers of the numbers `workers`, while the others go on."""

    action: WorkersAction
    workers: list[int]


class SendParams(msgspec.Struct, forbid_unknown_fields=True):
    """`line`: for the standard input, without its end. `worker`: whose; None: of each worker."""

    line: str
    worker: int | None = None


class ResetParams(msgspec.Struct, forbid_unknown_fields=True):
    """`workers`: numbers of those whose restarts are counted anew; empty: of all."""

    workers: list[int] = []


class SignalParams(msgspec.Struct, forbid_unknown_fields=True):
    """`signal`: its number. `worker`: whose process gets it; None: that of each worker."""

    signal: int
    worker: int | None = None


class AlertsParams(msgspec.Struct, forbid_unknown_fields=True):
    """`action`: show them, tell everybody that nothing is wrong, or tell nobody for `seconds`; 0: tell again."""

    action: Literal["show", "test", "silence"] = "show"
    seconds: float = 0.0


class TriggerParams(msgspec.Struct, forbid_unknown_fields=True):
    """What workers are asked to do; each answer is a notification `answer`, a WorkerAnswer, as soon as it comes.

    `action`: its name; empty: say which there are. `param`: a text for it. `worker`: whose; None: of each worker.
    `timeout`: seconds that an answer may take.
    """

    action: str = ""
    param: str | None = None
    worker: int | None = None
    timeout: float = 30.0


class UpdateParams(msgspec.Struct):
    """`python`: the interpreter whose fastlb is to run the app; "": the same as now. Other fields are left alone."""

    python: str = ""


class LogsParams(msgspec.Struct, forbid_unknown_fields=True):
    """`stream`: which output; `others`: what else.

    Lines come as notifications until the client hangs up or the supervisor ends. First `following` {"ends"}: device,
    inode and size of each log file; what they hold up to there is not sent. Then `line` {"stream","text","worker",
    "pid","time"} for each line.
    """

    stream: Literal["out", "err", "all", "none"] = "all"
    others: list[Literal["access", "event"]] = []


class WorkerAnswer(msgspec.Struct, kw_only=True):
    """How an action ended in one worker.

    `text`: what came of it, or why not. `file`: the path of what it has written. `known`: names of the actions that
    there are, if it was none of them (`is_unknown`), or none was asked for.
    """

    worker: int
    pid: int
    ok: bool
    text: str
    file: str = ""
    known: list[str] = []
    is_unknown: bool = False


class Changes(msgspec.Struct):
    """Result of `changes`: names of settings that differ from those of the newest workers.

    `needing_start`: those of them for which a reload and a restart are refused.
    """

    changed: list[str]
    needing_start: list[str]


class Done(msgspec.Struct):
    """Result of an operation: one sentence for the user."""

    text: str


FROZEN_METHODS = ("ping", "list", "stop", "update")
METHODS: dict[str, type[msgspec.Struct]] = {
    "ping": NoParams,
    "list": NoParams,
    "show": NoParams,
    "metrics": MetricsParams,
    "stop": StopParams,
    "update": UpdateParams,
    "restart": RestartParams,
    "reload": ReloadParams,
    "canary": CanaryParams,
    "changes": ChangesParams,
    "set": SetParams,
    "scale": ScaleParams,
    "workers": WorkersParams,
    "send": SendParams,
    "reset": ResetParams,
    "signal": SignalParams,
    "trigger": TriggerParams,
    "alerts": AlertsParams,
    "logs": LogsParams,
    "reopen_logs": NoParams,
}
