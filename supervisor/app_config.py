"""Owns THE settings of an app: name, type, unit, default, help and aliases, declared once.

Imported by supervisor and command line; options, validation, docs/configuration.md derive from it. No I/O.
Durations are float seconds, sizes are bytes; users type `1m30s` or `500M`.
"""

from typing import Annotated, Literal

import msgspec


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a setting beside its type and default.

    Attributes:
        help: one sentence for `--help` and the reference.
        section: heading in the reference and in `--help`.
        unit: "seconds" (parsed as a duration), "bytes" (parsed as a size), "" otherwise.
        flags: extra option spellings, such as `-w`.
        aliases: names other tools use for the same thing (PM2's, gunicorn's), for suggestions.
        minimum, maximum: bounds, inclusive; None: unbounded.
        repeatable: the option may be given several times (lists and KEY=VALUE maps).
        metavar: how the value is shown in `--help`.
        reloadable: whether `reload` applies a change (else: `restart` of the app).
        secret: the value is never shown.
    """

    help: str
    section: str
    unit: Literal["", "seconds", "bytes"] = ""
    flags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    repeatable: bool = False
    metavar: str = ""
    reloadable: bool = True
    secret: bool = False


MAX_WORKERS = 512
Balance = Literal["round-robin", "least-connections", "ip-hash"]
Interface = Literal["auto", "asgi", "wsgi"]
LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]


def seconds(help: str, section: str, *aliases: str, minimum: float = 0) -> Setting:
    """Declare a duration."""
    return Setting(help=help, section=section, unit="seconds", aliases=aliases, minimum=minimum, metavar="DURATION")


class AppConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting of one app. `target` and `name` are required, the rest has defaults."""

    target: Annotated[str, Setting(help="What to run: module:attribute or module:factory().", section="App")]
    name: Annotated[str, Setting(help="Name of the app in every command; default from the target.", section="App", flags=("-n",), reloadable=False)]
    args: Annotated[tuple[str, ...], Setting(help="Arguments of the app, after --; it sees them in sys.argv.", section="App", repeatable=True)] = ()
    workers: Annotated[int, Setting(help="Number of workers, or max: the CPUs this process may use.", section="App", flags=("-w",), aliases=("instances", "i"), minimum=1, maximum=MAX_WORKERS, metavar="N|max")] = 1
    cwd: Annotated[str, Setting(help="Working directory of the app; default where the command is typed.", section="App", metavar="DIR", reloadable=False)] = ""
    app_dir: Annotated[str, Setting(help="Directory that is put in front of the import path.", section="App", aliases=("chdir", "pythonpath"), metavar="DIR")] = "."
    factory: Annotated[bool, Setting(help="The target is a function that returns the app.", section="App")] = False
    interface: Annotated[Interface, Setting(help="Kind of app; auto finds out by looking.", section="App")] = "auto"
    env: Annotated[dict[str, str], Setting(help="Environment variable for the workers.", section="App", repeatable=True, metavar="KEY=VALUE", secret=True)] = {}

    bind: Annotated[tuple[str, ...], Setting(help="Where to listen: HOST:PORT, [IPV6]:PORT, unix:PATH or fd:N.", section="Network", flags=("-b",), repeatable=True, metavar="ADDRESS", aliases=("host", "port", "uds", "fd", "listen"), reloadable=False)] = ("127.0.0.1:8000",)
    balance: Annotated[Balance, Setting(help="How a worker is chosen for a connection.", section="Network", aliases=("policy",))] = "round-robin"
    backlog: Annotated[int, Setting(help="Connections that may wait in the kernel.", section="Network", minimum=1, maximum=65535, reloadable=False)] = 4096
    socket_mode: Annotated[str, Setting(help="Mode of a unix socket, octal.", section="Network", metavar="MODE", reloadable=False)] = "0660"
    credit: Annotated[int, Setting(help="Most connections that wait for one worker, handed over and not taken.", section="Network", minimum=1, maximum=128)] = 16
    max_connections: Annotated[int, Setting(help="Most open connections of a worker; 0: as its descriptor limit allows.", section="Network", aliases=("worker_connections",), minimum=0, maximum=1_000_000)] = 0
    handover_timeout: Annotated[float, seconds("After this a connection that its worker has not taken goes to another.", "Network", minimum=0.001)] = 0.005

    http: Annotated[Literal["auto", "httptools", "h11"], Setting(help="HTTP parser of ASGI workers.", section="HTTP")] = "auto"
    loop: Annotated[Literal["auto", "uvloop", "asyncio"], Setting(help="Event loop of ASGI workers.", section="HTTP")] = "auto"
    ws: Annotated[Literal["auto", "none", "websockets", "websockets-sansio", "wsproto"], Setting(help="WebSocket implementation of ASGI workers.", section="HTTP")] = "auto"
    lifespan: Annotated[Literal["auto", "on", "off"], Setting(help="ASGI lifespan protocol.", section="HTTP")] = "auto"
    threads: Annotated[int, Setting(help="Threads of a WSGI worker: requests that it runs at a time.", section="HTTP", minimum=1, maximum=1000)] = 1
    timeout_keep_alive: Annotated[float, seconds("Idle time after which a connection is closed.", "HTTP", "keepalive", "keep_alive")] = 5.0
    limit_concurrency: Annotated[int, Setting(help="Connections or tasks of an ASGI worker above which it answers 503; 0: no limit.", section="HTTP", minimum=0)] = 0
    limit_request_head: Annotated[int, Setting(help="Largest request line and headers together (431 above).", section="HTTP", unit="bytes", minimum=1024, aliases=("limit_request_field_size", "h11_max_incomplete_event_size"), metavar="SIZE")] = 65536
    limit_request_body: Annotated[int, Setting(help="Largest request body of a WSGI app (413 above); 0: no limit.", section="HTTP", unit="bytes", minimum=0, metavar="SIZE")] = 0
    root_path: Annotated[str, Setting(help="Path prefix under which the app is mounted.", section="HTTP", aliases=("script_name",))] = ""
    proxy_headers: Annotated[bool, Setting(help="Believe X-Forwarded-Proto and X-Forwarded-For of trusted proxies.", section="HTTP")] = True
    forwarded_allow_ips: Annotated[str, Setting(help="Trusted proxies: addresses or networks, comma separated, or *.", section="HTTP", metavar="LIST")] = "127.0.0.1,::1"
    server_header: Annotated[bool, Setting(help="Send a Server header.", section="HTTP")] = True
    date_header: Annotated[bool, Setting(help="Send a Date header.", section="HTTP")] = True
    ssl_certfile: Annotated[str, Setting(help="Certificate chain, PEM: the workers speak TLS.", section="HTTP", aliases=("certfile",), metavar="FILE")] = ""
    ssl_keyfile: Annotated[str, Setting(help="Private key, PEM.", section="HTTP", aliases=("keyfile",), metavar="FILE")] = ""

    access_log: Annotated[bool, Setting(help="Log every request on the worker's standard output.", section="Logs")] = False
    log_level: Annotated[LogLevel, Setting(help="Least severity that the worker's runtime logs.", section="Logs")] = "info"

    wait_ready: Annotated[bool, Setting(help="A worker is ready when it says so (fastlb.worker.ready()), not before.", section="Lifecycle")] = False
    listen_timeout: Annotated[float, seconds("Time a worker has to become ready.", "Lifecycle", "ready_timeout", minimum=0.1)] = 60.0
    kill_timeout: Annotated[float, seconds("Time a draining worker has to finish.", "Lifecycle", "graceful_timeout", "timeout_graceful_shutdown")] = 30.0
    kill_signal: Annotated[Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"], Setting(help="Signal that ends a worker after kill_timeout.", section="Lifecycle")] = "SIGTERM"
    hang_timeout: Annotated[float, seconds("A worker whose event loop gives no sign of life for so long is killed; 0: never.", "Lifecycle", "timeout", "timeout_worker_healthcheck")] = 30.0
    request_timeout: Annotated[float, seconds("A worker with a request older than this is killed; 0: never.", "Lifecycle")] = 0.0
    reload_settle: Annotated[float, seconds("Time the first replacement must live before it is trusted.", "Lifecycle")] = 1.0
    reload_delay: Annotated[float, seconds("Pause between two replacements of a reload.", "Lifecycle")] = 0.0
    reload_parallel: Annotated[int, Setting(help="Workers that a reload replaces at a time.", section="Lifecycle", minimum=1, maximum=MAX_WORKERS, flags=("--parallel",))] = 1
    min_uptime: Annotated[float, seconds("A worker that exits younger than this counts as unstable.", "Lifecycle")] = 1.0
    max_restarts: Annotated[int, Setting(help="Unstable exits within restart_window after which a worker is given up.", section="Lifecycle", minimum=0)] = 15
    restart_window: Annotated[float, seconds("Length of the window of max_restarts.", "Lifecycle", minimum=1)] = 60.0
    restart_delay: Annotated[float, seconds("First delay before a restart; grows after each unstable exit.", "Lifecycle", "exp_backoff_restart_delay")] = 0.1
