"""Owns THE settings of an app: name, type, unit, default, help and aliases, declared once.

Imported by supervisor and command line; options, validation, docs/configuration.md derive from it. No I/O.
Durations are float seconds, sizes are bytes; users type `1m30s` or `500M`.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from .access_log import check_access_log_format
from .addresses import check_proxies
from .app_name import check_namespace
from .cookie_name import check_cookie_name
from .cron_restart import check_cron_restart
from .date_format import compile_format
from .env_names import check_filter
from .health_question import check_question
from .metrics_bind import check_metrics_bind
from .networks import parse_networks
from .path_templates import check_template
from .rotation_times import check_rotate_interval
from .socket_mode import parse_mode
from .statsd_host import check_statsd_host, check_statsd_prefix
from .targets import AppKind, ExecMode, worker_kind
from .time_zone import zone_of
from .watch_words import DEFAULT, check_patterns


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a setting besides its type and default.

    Attributes:
        help: one sentence for `--help` and the reference.
        section: heading in the reference and in `--help`.
        unit: "seconds" (parsed as a duration), "bytes" (parsed as a size), "" otherwise.
        flags: extra option spellings, such as `-w`.
        aliases: names other tools use for the same thing (PM2's, gunicorn's), for suggestions.
        minimum, maximum: bounds, inclusive; None: unbounded.
        repeatable: the option may be given several times (lists and KEY=VALUE maps).
        metavar: how the value is shown in `--help`.
        secret: the value is never shown.
        kinds: kinds of workers that it is for; empty: all.
        interfaces: interfaces of Python apps for which it has an effect; empty: all.
        variables: environment variables that platforms set for it.
        check: raises ValueError, without naming the setting, for a value that means nothing.
        shorthands: values that are options as well: `--fork` for `--exec-mode fork`.
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
    secret: bool = False
    kinds: tuple[AppKind, ...] = ()
    interfaces: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    check: Callable[[str], object] | None = None
    shorthands: tuple[str, ...] = ()


MAX_WORKERS = 512
DEFAULT_FIRST_DELAY = 0.1  # seconds, of exp_backoff_restart_delay
DEFAULT_BIND = ("127.0.0.1:8000",)
PYTHON: tuple[AppKind, ...] = ("python",)
NODE: tuple[AppKind, ...] = ("node",)
ASGI, WSGI = ("asgi",), ("wsgi",)
FORK: tuple[AppKind, ...] = ("fork",)
Balance = Literal["round-robin", "least-connections", "ip-hash", "sticky"]
Interface = Literal["auto", "asgi", "wsgi"]
ReadyWhen = Literal["auto", "serving", "said", "port", "uptime"]
LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]


def seconds(help: str, section: str, *aliases: str, minimum: float = 0, **about: Any) -> Setting:
    """Declare a duration; `about` as in Setting."""
    return Setting(
        help=help, section=section, unit="seconds", aliases=aliases, minimum=minimum, metavar="DURATION", **about
    )


class AppConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting of one app. `target` and `name` are required, the rest has defaults."""

    target: Annotated[str, Setting(help="What to run: module:attribute or module:factory() of Python; a script, a directory or a package.json of Node; in fork mode any program.", section="App")]
    name: Annotated[str, Setting(help="Name of the app in every command; default from the target.", section="App", flags=("-n",))]
    args: Annotated[tuple[str, ...], Setting(help="Arguments of the app, after --; it sees them in sys.argv or process.argv.", section="App", repeatable=True)] = ()
    workers: Annotated[int, Setting(help="Number of workers, or max: one for each CPU that this process may use, with 128M of the memory of its cgroup.", section="App", flags=("-w",), aliases=("instances", "i"), minimum=1, maximum=MAX_WORKERS, metavar="N|max", variables=("WEB_CONCURRENCY",))] = 1
    min_instances: Annotated[int, Setting(help="Fewest workers of an app that is scaled by its load; 0: 1.", section="Autoscaling", minimum=0, maximum=MAX_WORKERS, metavar="N")] = 0
    max_instances: Annotated[int, Setting(help="Most workers of an app that is scaled by its load, or max: the CPUs this process may use; 0: the load changes nothing. Only in cluster mode.", section="Autoscaling", minimum=0, maximum=MAX_WORKERS, metavar="N|max")] = 0
    scale_cpu: Annotated[int, Setting(help="Percent of one core, mean of the workers, above which more are started; 0: not looked at.", section="Autoscaling", minimum=0, maximum=400, metavar="PERCENT")] = 80
    scale_busy: Annotated[int, Setting(help="Percent of their threads that are busy, mean of the WSGI workers, above which more are started; 0: not looked at.", section="Autoscaling", minimum=0, maximum=100, metavar="PERCENT", kinds=PYTHON, interfaces=WSGI)] = 80
    scale_memory: Annotated[int, Setting(help="No more workers are started than this percentage of the memory of the machine, or of the cgroup, holds of their average; 0: as many as the load asks for.", section="Autoscaling", minimum=0, maximum=100, metavar="PERCENT")] = 80
    scale_up_cooldown: Annotated[float, seconds("Time over which the load that makes a step up is averaged, and between two such steps.", "Autoscaling", minimum=0.1)] = 10.0
    scale_down_cooldown: Annotated[float, seconds("Time for which fewer workers must have been enough before some go, and between a step and one down.", "Autoscaling", minimum=0.1)] = 60.0
    exec_mode: Annotated[ExecMode, Setting(help="cluster: workers behind one port, for Python and Node apps; fork: any program as processes of their own, each with its own port; auto: as the target suggests.", section="App", shorthands=("fork",))] = "auto"
    cwd: Annotated[str, Setting(help="Working directory of the app; default where the command is typed.", section="App", aliases=("chdir",), metavar="DIR")] = ""
    app_dir: Annotated[str, Setting(help="Directory that is put in front of the import path.", section="App", aliases=("pythonpath",), metavar="DIR", kinds=PYTHON)] = "."
    factory: Annotated[bool, Setting(help="The target is a function that returns the app.", section="App", kinds=PYTHON)] = False
    interface: Annotated[Interface, Setting(help="Kind of app; auto finds out by looking.", section="App", kinds=PYTHON)] = "auto"
    interpreter: Annotated[str, Setting(help="What runs the app, a program or a path to it. A Python app: the python of another virtual environment, which has fastlb; Node: node (the default), tsx (TypeScript) or deno (experimental); in fork mode anything, by default what name and first line of the script say, and none: nothing.", section="App", aliases=("exec_interpreter",), metavar="PROGRAM")] = ""
    interpreter_args: Annotated[tuple[str, ...], Setting(help="Options of the interpreter itself, such as --max-old-space-size=512 of node.", section="App", flags=("--node-args",), aliases=("exec_interpreter_args",), repeatable=True, metavar="OPTIONS")] = ()
    instance_var: Annotated[str, Setting(help="Environment variable that tells a worker its number, from 0.", section="App", metavar="NAME")] = "NODE_APP_INSTANCE"
    increment_var: Annotated[str, Setting(help="Environment variable that is raised by one for each worker, such as PORT.", section="App", metavar="NAME")] = ""
    env: Annotated[dict[str, str], Setting(help="Environment variable for the workers.", section="App", repeatable=True, metavar="KEY=VALUE", secret=True)] = {}
    env_file: Annotated[tuple[str, ...], Setting(help="File of KEY=VALUE lines, as python-dotenv reads them, under --env and over the shell; of several a later one counts more. Read anew by every reload.", section="App", repeatable=True, metavar="FILE")] = ()
    filter_env: Annotated[tuple[str, ...], Setting(help="Variables of the shell that the workers do not get, by name or beginning; true: all but PATH, HOME and the like.", section="App", repeatable=True, metavar="NAME", check=check_filter)] = ()
    namespace: Annotated[str, Setting(help="Group of apps that it belongs to, shown by show and list --json.", section="App", metavar="NAME", check=check_namespace)] = "default"
    uid: Annotated[str, Setting(help="User, by name or number, whose processes the workers are, with all groups of that user; only root may choose.", section="App", aliases=("user",), flags=("-u",), metavar="USER")] = ""
    gid: Annotated[str, Setting(help="Group, by name or number; default that of the user.", section="App", aliases=("group",), flags=("-g",), metavar="GROUP")] = ""
    umask: Annotated[str, Setting(help="Mode bits that files of the workers do not get, octal; default as it is.", section="App", metavar="MODE", check=parse_mode)] = ""
    nofile: Annotated[int, Setting(help="Descriptors that a worker may have open (ulimit -n); 0: as many as allowed.", section="App", minimum=0, maximum=1_073_741_816, aliases=("rlimit_nofile",))] = 0
    nice: Annotated[int, Setting(help="Priority of the workers, from -20 (first, for root only) to 19.", section="App", minimum=-20, maximum=19)] = 0
    pin_cpus: Annotated[bool, Setting(help="Each worker runs on one CPU: the first on the first that may be used, and so on.", section="App")] = False

    bind: Annotated[tuple[str, ...], Setting(help="Where to listen: HOST:PORT, [IPV6]:PORT, unix:PATH or fd:N. Default: 127.0.0.1:8000; of a Node app: where it asks to; in fork mode: nowhere, and what is given is passed to the program as systemd does (LISTEN_FDS).", section="Network", flags=("-b",), repeatable=True, metavar="ADDRESS", aliases=("host", "port", "uds", "fd", "listen"), variables=("PORT",))] = ()
    balance: Annotated[Balance, Setting(help="How a worker is chosen for a connection. ip-hash: by the client's address; sticky: the same behind an HTTP proxy, by sticky_cookie or the address that the proxy forwards.", section="Network", aliases=("policy",))] = "round-robin"
    sticky_cookie: Annotated[str, Setting(help="Cookie by whose value sticky knows a client, before any address; only one that is there before the first request that must come back.", section="Network", metavar="NAME", check=check_cookie_name)] = ""
    backlog: Annotated[int, Setting(help="Connections that may wait in the kernel.", section="Network", minimum=1, maximum=65535)] = 4096
    socket_mode: Annotated[str, Setting(help="Mode of a unix socket, octal.", section="Network", metavar="MODE", check=parse_mode)] = "0660"
    credit: Annotated[int, Setting(help="How many connections may wait for one worker; 0 = default: 16, for Node 2.", section="Network", minimum=0, maximum=128)] = 0
    max_connections: Annotated[int, Setting(help="Most open connections of a worker; 0: as its descriptor limit allows, and no bound for Node.", section="Network", aliases=("worker_connections",), minimum=0, maximum=1_000_000)] = 0
    proxy_protocol: Annotated[bool, Setting(help="Every connection begins with a PROXY header (version 1 or 2), as HAProxy's send-proxy and nginx's proxy_protocol write it: the client in it is the one that workers see.", section="Network")] = False
    proxy_allow_ips: Annotated[str, Setting(help="Proxies that are believed by the dispatcher, comma separated: addresses, networks, unix: (whoever may connect to a unix socket of --bind), or *. They may send a PROXY header, all others are closed; and sticky looks at what they forward.", section="Network", metavar="LIST", aliases=("proxy_allow_from", "set_real_ip_from"), check=parse_networks)] = "127.0.0.1,::1,unix:"
    handover_timeout: Annotated[float, seconds("After this a connection that its worker has not taken goes to another.", "Network", minimum=0.001)] = 0.005

    http: Annotated[Literal["auto", "fastlb", "httptools", "h11"], Setting(help="What speaks HTTP in ASGI workers: fastlb itself (auto), or uvicorn on httptools or h11.", section="HTTP", kinds=PYTHON, interfaces=ASGI)] = "auto"
    loop: Annotated[Literal["auto", "uvloop", "asyncio"], Setting(help="Event loop of ASGI workers.", section="HTTP", kinds=PYTHON, interfaces=ASGI)] = "auto"
    ws: Annotated[Literal["auto", "none", "websockets", "websockets-sansio", "wsproto"], Setting(help="WebSocket implementation of ASGI workers.", section="HTTP", kinds=PYTHON, interfaces=ASGI)] = "auto"
    ws_max_size: Annotated[int, Setting(help="Largest message of a WebSocket (closed with 1009 above).", section="HTTP", unit="bytes", minimum=1, metavar="SIZE", kinds=PYTHON, interfaces=ASGI)] = 16_777_216
    ws_ping_interval: Annotated[float, seconds("Time between two pings of a WebSocket; 0: none is sent.", "HTTP", kinds=PYTHON, interfaces=ASGI)] = 20.0
    ws_ping_timeout: Annotated[float, seconds("Time a client of a WebSocket has to answer a ping; 0: for ever.", "HTTP", kinds=PYTHON, interfaces=ASGI)] = 20.0
    lifespan: Annotated[Literal["auto", "on", "off"], Setting(help="ASGI lifespan protocol.", section="HTTP", kinds=PYTHON, interfaces=ASGI)] = "auto"
    threads: Annotated[int, Setting(help="Threads of a WSGI worker: requests that it runs at a time.", section="HTTP", minimum=1, maximum=1000, kinds=PYTHON, interfaces=WSGI)] = 1
    timeout_keep_alive: Annotated[float, seconds("Idle time after which a connection is closed.", "HTTP", "keepalive", "keep_alive", kinds=PYTHON)] = 5.0
    stall_timeout: Annotated[float, seconds("Time a client has for a whole request head, for the next part of a body, and to take a part of a response.", "HTTP", "channel_timeout", "client_header_timeout", "client_body_timeout", "send_timeout", minimum=0.1, kinds=PYTHON)] = 60.0
    minimum_rate: Annotated[int, Setting(help="Bytes a second that a client must send of a body (408 below), or take of a response, averaged over stall_timeout; 0: any rate will do.", section="HTTP", unit="bytes", minimum=0, aliases=("min_rate", "min_request_body_data_rate", "min_response_data_rate"), metavar="SIZE", kinds=PYTHON)] = 240
    limit_concurrency: Annotated[int, Setting(help="Connections or tasks of an ASGI worker above which it answers 503; 0: no limit.", section="HTTP", minimum=0, kinds=PYTHON, interfaces=ASGI)] = 0
    limit_request_head: Annotated[int, Setting(help="Largest request line and headers together (431 above).", section="HTTP", unit="bytes", minimum=1024, aliases=("limit_request_field_size", "h11_max_incomplete_event_size"), metavar="SIZE", kinds=PYTHON)] = 65536
    limit_request_body: Annotated[int, Setting(help="Largest request body of a WSGI app (413 above); 0: no limit.", section="HTTP", unit="bytes", minimum=0, aliases=("max_request_body_size",), metavar="SIZE", kinds=PYTHON, interfaces=WSGI)] = 1_073_741_824
    root_path: Annotated[str, Setting(help="Path prefix under which the app is mounted.", section="HTTP", aliases=("script_name",), kinds=PYTHON)] = ""
    proxy_headers: Annotated[bool, Setting(help="Believe X-Forwarded-Proto and X-Forwarded-For of trusted proxies.", section="HTTP", kinds=PYTHON)] = True
    forwarded_allow_ips: Annotated[str, Setting(help="Trusted proxies, comma separated: addresses, networks, unix: (whoever may connect to a unix socket of --bind), or *.", section="HTTP", metavar="LIST", kinds=PYTHON, check=check_proxies, variables=("FORWARDED_ALLOW_IPS",))] = "127.0.0.1,::1,unix:"
    server_header: Annotated[bool, Setting(help="Send a Server header.", section="HTTP", kinds=PYTHON)] = True
    date_header: Annotated[bool, Setting(help="Send a Date header.", section="HTTP", kinds=PYTHON)] = True
    ssl_certfile: Annotated[str, Setting(help="Certificate chain, PEM: the workers speak TLS.", section="HTTP", aliases=("certfile",), metavar="FILE", kinds=PYTHON)] = ""
    ssl_keyfile: Annotated[str, Setting(help="Private key, PEM.", section="HTTP", aliases=("keyfile",), metavar="FILE", kinds=PYTHON)] = ""
    ssl_keyfile_password: Annotated[str, Setting(help="Password of an encrypted private key.", section="HTTP", metavar="TEXT", secret=True, kinds=PYTHON)] = ""
    ssl_ca_certs: Annotated[str, Setting(help="Certificates of the authorities whose client certificates are accepted, PEM.", section="HTTP", aliases=("ca_certs",), metavar="FILE", kinds=PYTHON)] = ""
    ssl_cert_reqs: Annotated[int, Setting(help="Client certificates: 0 none is asked for, 1 one may be given, 2 one must be.", section="HTTP", minimum=0, maximum=2, aliases=("cert_reqs",), kinds=PYTHON)] = 0

    access_log: Annotated[bool, Setting(help="Log every request on the worker's standard output.", section="Logs", kinds=PYTHON)] = False
    access_log_format: Annotated[str, Setting(help="Format of a line of the access log, which it turns on: gunicorn's atoms, %(h)s %(t)s \"%(r)s\" %(s)s %(b)s %(D)s; or json. Default: client, request and status.", section="Logs", aliases=("access_logformat",), metavar="FORMAT", kinds=PYTHON, check=check_access_log_format)] = ""
    access_file: Annotated[str, Setting(help="File for the access log, which it turns on, in place of standard output; as out_file.", section="Logs", aliases=("accesslog",), metavar="FILE", kinds=PYTHON, check=check_template)] = ""
    log_level: Annotated[LogLevel, Setting(help="Least severity that the worker's runtime logs.", section="Logs", kinds=PYTHON)] = "info"
    log_config: Annotated[str, Setting(help="File for Python's logging, in place of log_level: .json or .yaml for dictConfig, any other for fileConfig.", section="Logs", aliases=("log_config_json",), metavar="FILE", kinds=PYTHON)] = ""

    out_file: Annotated[str, Setting(help="File for the workers' standard output; ${name} ${instance} ${pid} ${date} may stand in the path; NULL: none. Default: NAME-out.log in FASTLB_HOME/logs.", section="Logs", aliases=("output", "out", "out_log"), metavar="FILE", check=check_template)] = ""
    error_file: Annotated[str, Setting(help="File for their standard error, as out_file; both may be the same. Default: NAME-error.log in FASTLB_HOME/logs.", section="Logs", aliases=("error", "err_file", "err", "err_log"), metavar="FILE", check=check_template)] = ""
    log_file: Annotated[str, Setting(help="File for both together, in order, besides the two.", section="Logs", aliases=("log", "combined_log"), metavar="FILE", check=check_template)] = ""
    merge_logs: Annotated[bool, Setting(help="All workers write one file; otherwise each has its own, with its number before the suffix.", section="Logs", aliases=("combine_logs",))] = True
    disable_logs: Annotated[bool, Setting(help="Write no files of output.", section="Logs")] = False
    time: Annotated[bool, Setting(help="Put the time in front of each line: YYYY-MM-DDTHH:mm:ss.", section="Logs")] = False
    log_date_format: Annotated[str, Setting(help="Time in front of each line, by moment's tokens (YYYY-MM-DD HH:mm:ss.SSS Z) or strftime's (%H:%M:%S).", section="Logs", metavar="FORMAT", check=compile_format)] = ""
    log_worker: Annotated[bool, Setting(help="Put the number of the worker in front of each line.", section="Logs")] = False
    log_multiline: Annotated[bool, Setting(help="A traceback is one record: it has one time, or is one JSON object, or one message of syslog or journald.", section="Logs")] = False
    log_target: Annotated[Literal["file", "stdout", "syslog", "journald", "none"], Setting(help="Where the workers' lines go: files, the standard output of fastlb run, or a log daemon of this machine.", section="Logs")] = "file"
    log_socket: Annotated[str, Setting(help="Socket of the log daemon; default /dev/log, or that of journald.", section="Logs", metavar="FILE")] = ""
    log_type: Annotated[Literal["text", "json"], Setting(help="json: each line becomes an object with timestamp, app, worker, pid, stream and message.", section="Logs")] = "text"
    log_json: Annotated[Literal["wrap", "merge"], Setting(help="What log_type json makes of a line that is a JSON object: wrap it as a message, or merge its members.", section="Logs")] = "wrap"
    max_size: Annotated[int, Setting(help="A log file that would become larger is rotated: renamed, with date and time; 0: never.", section="Logs", unit="bytes", minimum=0, metavar="SIZE")] = 0
    rotate_interval: Annotated[str, Setting(help="When log files are rotated: never, hourly, daily, weekly, monthly, or a cron pattern.", section="Logs", metavar="WHEN", check=check_rotate_interval)] = "never"
    rotate_logs: Annotated[bool, Setting(help="Rotate log files, at 10M unless max_size or rotate_interval says when.", section="Logs")] = False
    retain: Annotated[int, Setting(help="Rotated files that are kept of each log file.", section="Logs", minimum=0, maximum=100_000)] = 10
    retain_days: Annotated[int, Setting(help="Days for which rotated files are kept; 0: as long as retain lets them.", section="Logs", minimum=0, maximum=36_500)] = 0
    compress: Annotated[bool, Setting(help="Compress rotated files (gzip).", section="Logs")] = False

    wait_ready: Annotated[bool, Setting(help="A worker is ready when it says so, not before: fastlb.worker.ready(), in Node process.send('ready'), in fork mode the line \"ready\" (in quotes) to descriptor NODE_CHANNEL_FD; in all READY=1 by sd_notify.", section="Lifecycle")] = False
    ready_when: Annotated[ReadyWhen, Setting(help="When a worker is ready. serving: its app is loaded and serves (Python and Node); said: it says so, as --wait-ready; port: its own PORT answers (fork mode); uptime: it has lived for min_uptime (fork mode); auto: said with --wait-ready, else serving, in fork mode when it has lived for settle.", section="Lifecycle")] = "auto"
    listen_timeout: Annotated[float, seconds("Time a worker has to become ready.", "Lifecycle", "ready_timeout", minimum=0.1)] = 60.0
    kill_timeout: Annotated[float, seconds("Time a draining worker has to finish.", "Lifecycle", "graceful_timeout", "timeout_graceful_shutdown")] = 30.0
    kill_signal: Annotated[Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"], Setting(help="Signal that ends a worker after kill_timeout.", section="Lifecycle")] = "SIGTERM"
    treekill: Annotated[bool, Setting(help="Send kill_signal to all processes below a worker as well; otherwise to the worker alone, and what it leaves is killed when it has ended.", section="Lifecycle", aliases=("killasgroup", "stopasgroup"))] = False
    shutdown_with_message: Annotated[bool, Setting(help="Send a worker the message 'shutdown' on its IPC channel when it is to finish.", section="Lifecycle", kinds=(*NODE, *FORK))] = False
    broadcast: Annotated[bool, Setting(help="What a Node worker sends (process.send) goes to all other workers of the app, as @socket.io/cluster-adapter and log4js need it.", section="Lifecycle", aliases=("pm2_intercom",), kinds=NODE)] = False
    node_preload: Annotated[bool, Setting(help="Load a file of ours into Node workers, by which they end keep-alive connections gently and their handlers of kill_signal run.", section="Lifecycle", kinds=NODE)] = True
    hang_timeout: Annotated[float, seconds("A worker whose event loop gives no sign of life for so long is killed; 0: never.", "Lifecycle", "timeout_worker_healthcheck")] = 30.0
    request_timeout: Annotated[float, seconds("A worker with a request older than this is killed; 0: never.", "Lifecycle", "timeout", kinds=PYTHON)] = 0.0
    settle: Annotated[float, seconds("Time that ready workers must live before a start counts as done, and the first replacement before a reload trusts it.", "Lifecycle", "reload_settle")] = 1.0
    reload_delay: Annotated[float, seconds("Pause between two replacements of a reload.", "Lifecycle")] = 0.0
    reload_parallel: Annotated[int, Setting(help="Workers that a reload replaces at a time.", section="Lifecycle", minimum=1, maximum=MAX_WORKERS, flags=("--parallel",))] = 1
    autorestart: Annotated[bool, Setting(help="Start a worker anew when it has ended. With --no-autorestart a program that exits with code 0 has finished, and one that fails stays down.", section="Lifecycle")] = True
    stop_exit_codes: Annotated[tuple[int, ...], Setting(help="Exit code after which a worker is not started anew: it has finished.", section="Lifecycle", repeatable=True, minimum=0, maximum=255, metavar="CODE")] = ()
    min_uptime: Annotated[float, seconds("A worker that exits within this time after it was ready counts as unstable.", "Lifecycle")] = 1.0
    max_restarts: Annotated[int, Setting(help="Unstable exits within restart_window after which a worker is given up.", section="Lifecycle", minimum=0)] = 15
    restart_window: Annotated[float, seconds("Length of the window of max_restarts.", "Lifecycle", minimum=1)] = 60.0
    restart_delay: Annotated[float, seconds("Pause before a restart, always the same; 0: the growing one of exp_backoff_restart_delay.", "Lifecycle")] = 0.0
    exp_backoff_restart_delay: Annotated[float, seconds("First pause before a restart; it grows by half with each unstable exit, up to 15s. Where both pauses are given, this one counts.", "Lifecycle")] = DEFAULT_FIRST_DELAY
    errored_retry: Annotated[float, seconds("A worker that was given up is tried again after this time; 0: only when somebody asks for it.", "Lifecycle")] = 0.0
    max_memory_restart: Annotated[int, Setting(help="A worker that uses more memory, with all processes below it, is replaced; 0: no limit.", section="Lifecycle", unit="bytes", minimum=0, aliases=("max_memory", "workers_max_rss"), metavar="SIZE")] = 0
    cgroup_memory_restart: Annotated[int, Setting(help="Percent of the memory limit of the cgroup (of a container, of a unit of systemd) at which the largest worker is replaced, if it has grown; 0: never.", section="Lifecycle", minimum=0, maximum=99)] = 90
    max_requests: Annotated[int, Setting(help="A worker that has answered so many requests is replaced; 0: no limit.", section="Lifecycle", minimum=0, aliases=("limit_max_requests",), kinds=PYTHON)] = 0
    max_requests_jitter: Annotated[int, Setting(help="Up to so many requests more, by chance for each worker, so that they are not replaced together.", section="Lifecycle", minimum=0, aliases=("limit_max_requests_jitter",), kinds=PYTHON)] = 0
    max_lifetime: Annotated[float, seconds("A worker that has lived for so long, or up to a tenth less, is replaced; 0: no limit.", "Lifecycle", "workers_lifetime")] = 0.0

    health_check: Annotated[str, Setting(help="How a worker is asked whether it is well: /PATH by HTTP (2xx or 3xx; also http://HOST/PATH, https://HOST/PATH), tcp, or a command that exits with 0 (exec:/PATH for one that begins with a slash). One that is not gets no connections, and is replaced.", section="Health", metavar="PATH|tcp|COMMAND", check=check_question)] = ""
    health_check_interval: Annotated[float, seconds("Time between two questions to a worker; 0: 30 s with health_check, else no questions. Alone it means tcp.", "Health", "health_check_period")] = 0.0
    health_check_timeout: Annotated[float, seconds("Time for an answer.", "Health", minimum=0.05)] = 5.0
    health_check_grace_period: Annotated[float, seconds("Time after the start of a process in which a bad answer does not make it ill.", "Health")] = 3.0
    health_check_failures: Annotated[int, Setting(help="Bad answers in a row after which a worker is replaced; from the first one on it gets no connections.", section="Health", minimum=1, maximum=1000)] = 3
    health_check_successes: Annotated[int, Setting(help="Good answers in a row after which it gets connections again.", section="Health", minimum=1, maximum=1000)] = 1
    health_check_text: Annotated[str, Setting(help="What the body of the HTTP answer must contain, in its first 64 KiB.", section="Health", metavar="TEXT")] = ""

    cron_restart: Annotated[str, Setting(help="When all workers are replaced by the clock: a cron pattern, with names of days and months, and a field of seconds in front if it has six; 0: never. It is a reload, and starts a job that has finished once more.", section="By the clock", flags=("-c", "--cron"), metavar="PATTERN", check=check_cron_restart)] = ""
    cron_timezone: Annotated[str, Setting(help="Time zone of cron_restart, such as Europe/Berlin; default: that of the machine.", section="By the clock", metavar="ZONE", check=zone_of)] = ""

    watch: Annotated[tuple[str, ...], Setting(help="Replace the workers, by a reload, when files change: true for those below the working directory, or paths.", section="When files change", repeatable=True, metavar="[PATH]")] = ()
    ignore_watch: Annotated[tuple[str, ...], Setting(help="Files that may change: names or paths, with stars. default stands for hidden files, caches, node_modules, logs, virtual environments, databases and what editors leave; what is given replaces it, unless it is among them.", section="When files change", repeatable=True, metavar="PATTERN", check=check_patterns)] = (DEFAULT,)
    watch_include: Annotated[tuple[str, ...], Setting(help="Files that count alone, such as *.py; a hidden one must be named.", section="When files change", repeatable=True, metavar="PATTERN", aliases=("ext",), check=check_patterns)] = ()
    watch_delay: Annotated[float, seconds("Time without a change after which those before it are one.", "When files change", minimum=0)] = 0.25

    metrics_bind: Annotated[str, Setting(help="Where the app's supervisor serves its metrics, at /metrics: HOST:PORT, PORT (127.0.0.1) or unix:PATH; default: nowhere.", section="Metrics", metavar="ADDRESS", check=check_metrics_bind)] = ""
    metrics_app: Annotated[bool, Setting(help="Join what the app counts itself, by prometheus-client (Python) or prom-client (Node), into its metrics.", section="Metrics", kinds=(*PYTHON, *NODE))] = False
    statsd_host: Annotated[str, Setting(help="StatsD server, HOST:PORT, that is told once a second by UDP what the app does, by gunicorn's names; default: none.", section="Metrics", metavar="HOST:PORT", check=check_statsd_host)] = ""
    statsd_prefix: Annotated[str, Setting(help="In front of these names, with a dot between.", section="Metrics", metavar="TEXT", check=check_statsd_prefix)] = ""

    alerts: Annotated[bool, Setting(help="Look for what is wrong, and say when it begins and when it ends: in list, show and events, and to whoever is named below, which turns it on as well.", section="Alerts")] = False
    alert_cpu: Annotated[int, Setting(help="Percent of one core above which the busiest worker is; 0: as busy as it likes.", section="Alerts", minimum=0, maximum=100, metavar="PERCENT")] = 80
    alert_memory: Annotated[int, Setting(help="Percent of its memory above which a worker is (of max_memory_restart), or its cgroup, or the machine; 0: it is not looked at.", section="Alerts", minimum=0, maximum=100, metavar="PERCENT")] = 85
    alert_restarts: Annotated[int, Setting(help="More restarts than this within alert_restarts_window, of workers that crashed or were over a limit; 0: any number.", section="Alerts", minimum=0, maximum=1_000_000, metavar="N")] = 5
    alert_restarts_window: Annotated[float, seconds("Length of the window of alert_restarts.", "Alerts", minimum=1)] = 600.0
    alert_response_time: Annotated[float, seconds("Time within which 99 of 100 requests were answered, above which it is too long; 0: it is not looked at. Nobody measures that of Node workers and in fork mode.", "Alerts")] = 1.0
    alert_errors: Annotated[int, Setting(help="Percent of the requests that end in an exception of the app; 0: it is not looked at.", section="Alerts", minimum=0, maximum=100, metavar="PERCENT")] = 5
    alert_disk: Annotated[int, Setting(help="Percent of the disk of the logs that is used; 0: it is not looked at.", section="Alerts", minimum=0, maximum=100, metavar="PERCENT")] = 90
    alert_for: Annotated[float, seconds("Time for which something must be so before an alert begins, or ends; the window of response times and errors.", "Alerts")] = 60.0
    alert_interval: Annotated[float, seconds("Time between two looks.", "Alerts", minimum=0.2)] = 10.0
    alert_ignore: Annotated[tuple[str, ...], Setting(help="Alert that nobody wants: cpu, memory, restarts, response_time, errors, unhealthy, errored, reload_failed, disk, listen_overflow or channel.", section="Alerts", repeatable=True, metavar="ALERT")] = ()
    alert_group_wait: Annotated[float, seconds("Time that a message waits for other alerts that begin or end, so that all are one message.", "Alerts")] = 10.0
    alert_max_per_hour: Annotated[int, Setting(help="Most messages within an hour; what else begins or ends is told together when there may be another.", section="Alerts", minimum=1, maximum=3600)] = 20
    alert_email: Annotated[tuple[str, ...], Setting(help="Address of e-mail to be told.", section="Alerts", repeatable=True, metavar="ADDRESS")] = ()
    alert_email_from: Annotated[str, Setting(help="Sender of the e-mail; default fastlb at this machine.", section="Alerts", metavar="ADDRESS")] = ""
    alert_smtp: Annotated[str, Setting(help="Server that takes the e-mail: smtp://USER:PASSWORD@HOST:PORT (TLS where it is offered; a password is sent over nothing else), smtps://..., or env:NAME or file:PATH, where that stands. Default: port 25 of this machine.", section="Alerts", metavar="URL", secret=True)] = ""
    alert_webhook: Annotated[tuple[str, ...], Setting(help="Address that is sent a JSON object; Slack's, Discord's and Teams' have their own form, which slack+, discord+, teams+ or json+ in front says of others; or env:NAME or file:PATH, where it stands.", section="Alerts", repeatable=True, metavar="URL", secret=True)] = ()
    alert_command: Annotated[str, Setting(help="Command that gets the JSON object on its standard input: the way to SMS, pagers and whatever else.", section="Alerts", metavar="COMMAND")] = ""
    alert_sms: Annotated[tuple[str, ...], Setting(help="Telephone number for alert_command, which finds it in the object.", section="Alerts", repeatable=True, metavar="NUMBER")] = ()

    @property
    def kind(self) -> AppKind:
        """What runs the target."""
        return worker_kind(self.target, self.interpreter, self.exec_mode)
