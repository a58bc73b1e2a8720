"""Owns the messages on the lifecycle channel between supervisor and worker: newline-delimited JSON.

Both ends import it (the supervisor as fastlb.worker.wire). No I/O. A line is at most MAX_LINE_BYTES.

    supervisor -> worker   first line: WorkerConfig. Then WorkerExited, HealthCheck; AppEnds, at most once. Anything
                           else is ignored.
    worker -> supervisor   Serving, StartupFailed, ExitHandled, the JSON strings "ready" and "unready", or any JSON
                           value: of the user.

EOF in the worker means that the supervisor is gone: finish what is there and exit. The end of service is not said
here: it is EOF on the connection channel (drain), followed by `kill_signal` after `kill_timeout`. AppEnds only says
that nobody is to be waited for who asks nothing.
"""

from typing import Literal

import msgspec

MAX_LINE_BYTES = 1 << 20
READY = "ready"
UNREADY = "unready"
# Raise it when a worker cannot work under a supervisor of before: another meaning or layout of the configuration, of
# the status page, or of the connection messages. `pip install -U` changes the workers of a supervisor that runs.
WIRE_VERSION = 2

# In `forwarded_allow_ips`: whoever may connect to a unix socket.
UNIX_PEERS = "unix:"

# Exit codes of a worker that never served.
EXIT_STARTUP_FAILED = 3


class ListenerInfo(msgspec.Struct, frozen=True):
    """Where a listener listens, so that the worker can tell the app (ASGI `server`, WSGI SERVER_NAME).

    `family` is "inet", "inet6" or "unix"; for unix `host` is the path and `port` is 0.
    """

    listener_id: int
    family: Literal["inet", "inet6", "unix"]
    host: str
    port: int


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker must know; descriptors are numbers in the worker's table. Fields as in AppConfig.

    `lifeline_fd`: a socket that ends with the supervisor, for the orphan guard; by it a thread is asked for actions.

    All are required: defaults are declared in AppConfig alone, and the supervisor sends every field.
    """

    wire_version: int
    name: str
    target: str
    worker_id: int
    generation: int
    channel_fd: int
    page_fd: int
    wakeup_fd: int
    lifeline_fd: int
    listeners: tuple[ListenerInfo, ...]
    args: tuple[str, ...]
    app_dir: str
    factory: bool
    interface: str
    http: str
    loop: str
    ws: str
    lifespan: str
    ws_max_size: int
    ws_ping_interval: float
    ws_ping_timeout: float
    threads: int
    timeout_keep_alive: float
    stall_timeout: float
    minimum_rate: int
    limit_concurrency: int
    limit_request_head: int
    limit_request_body: int
    root_path: str
    proxy_headers: bool
    forwarded_allow_ips: str
    server_header: bool
    date_header: bool
    ssl_certfile: str
    ssl_keyfile: str
    ssl_keyfile_password: str
    ssl_ca_certs: str
    ssl_cert_reqs: int
    access_log: bool
    access_log_format: str
    access_file: str
    log_level: str
    log_config: str
    kill_timeout: float
    handover_timeout: float


def first_listener_id(config: WorkerConfig) -> int:
    """Return the listener from which a connection shall have come that came from none."""
    return config.listeners[0].listener_id if config.listeners else 0


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    """The app is loaded, its start-up is done and the channel is read.

    `capacity`: most busy connections at a time (threads of a WSGI worker); 0: unbounded.
    """

    interface: Literal["asgi", "wsgi"]
    capacity: int = 0


class StartupFailed(msgspec.Struct, frozen=True, tag="startup_failed"):
    """The app could not be loaded or started. `reason` is one sentence, `traceback` the app's own (may be empty).

    `usage`: the target itself is wrong (no such module, no such attribute), not the code in it.
    """

    reason: str
    traceback: str = ""
    usage: bool = False


class AppEnds(msgspec.Struct, frozen=True, tag="app_ends"):
    """The whole app ends: whoever comes now is refused, so the drain need not wait for clients that ask nothing.

    A worker that does not know it, or gets none, drains as at a reload.
    """


class WorkerExited(msgspec.Struct, frozen=True, tag="worker_exited"):
    """The process `pid` of another worker of the app has ended. Answered by ExitHandled, once hooks are through."""

    pid: int


class ExitHandled(msgspec.Struct, frozen=True, tag="exit_handled"):
    """The app's hooks for the end of `pid` are through, if it has any."""

    pid: int


class HealthCheck(msgspec.Struct, frozen=True, tag="health_check"):
    """A connection comes along, which the worker is to serve like any other and to count nowhere.

    `port`: of the client, which is on this machine; 0: it is a unix socket.
    """

    port: int = 0


WorkerNews = AppEnds | WorkerExited | HealthCheck
WorkerReport = Serving | StartupFailed | ExitHandled
