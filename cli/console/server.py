"""Owns the console's HTTP server: where it listens, whom it tells the link, and its end. Runs in the user's shell."""

import getpass
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from ...supervisor.errors import UsageError
from ...supervisor.home.paths import default_home
from ...supervisor.settings.addresses import ANY_HOST, TcpAddress, parse_address
from ...supervisor.sockets.refusals import explain_bind_error
from ...supervisor.version import VERSION
from .access import Access, Hosts, is_loopback
from .connection import MAX_CONNECTIONS, Connection
from .watch import Watch
from .web import Console, app_of

BACKLOG = 64
KEEP_ALIVE_SECONDS = 30
GRACE_SECONDS = 3


@contextmanager
def listening(spec: str) -> Iterator[socket.socket]:
    """Hold a socket that listens. `spec`: HOST:PORT or PORT (of 127.0.0.1).

    Raises:
        UsageError: it is none of these.
        FastlbError: it cannot be listened on.
    """
    address = _address_of(spec)
    is_any = address.host == ANY_HOST and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_any or ":" in address.host else socket.AF_INET
    try:
        sock = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG, dualstack_ipv6=is_any)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]  # what socket.create_server adds
        raise explain_bind_error(type(error)(error.errno, reason), spec, address) from error
    with sock:
        yield sock


def _address_of(spec: str) -> TcpAddress:
    with suppress(UsageError):
        if isinstance(address := parse_address(spec), TcpAddress):
            return address
    raise UsageError(f"--bind {spec}: give HOST:PORT, or PORT (of 127.0.0.1), from 0 (any that is free) to 65535")


def is_private(sock: socket.socket) -> bool:
    """Whether a socket is reached from this machine alone."""
    return is_loopback(sock.getsockname()[0])


def url_of(sock: socket.socket) -> str:
    """Return the address of the page, as a browser on this machine has it."""
    host, port = sock.getsockname()[:2]
    host = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(sock: socket.socket, token: str, names: tuple[str, ...], *, may_act: bool) -> None:
    """Answer until a signal ends it.

    Args:
        sock: listens; borrowed.
        token: that a browser must show.
        names: of hosts by which it may be called, besides localhost and addresses.
        may_act: whether apps can be reloaded, restarted, scaled and stopped.

    Raises:
        SystemExit: SIGTERM came.
        KeyboardInterrupt: ^C.
    """
    signal.signal(signal.SIGTERM, _end)
    watch = Watch(_about(may_act))
    hosts = Hosts(is_loopback=is_private(sock), names=names)
    console = Console(watch, Access(token, sock.getsockname()[1]), hosts, may_act)
    config = uvicorn.Config(
        app_of(console),
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS + 1,  # refuses when they are all busy: room was made for each new one
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Server(config, watch).run(sockets=[sock])


class _Server(uvicorn.Server):
    """Ends what would go on for ever before it waits for what is under way."""

    def __init__(self, config: uvicorn.Config, watch: Watch) -> None:
        super().__init__(config)
        self._watch = watch

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        self._watch.close()
        await super().shutdown(sockets)


def _about(may_act: bool) -> dict[str, object]:
    """Return what tells one console from another."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    home = str(default_home()).replace(str(Path.home()), "~", 1)
    return {"home": home, "user": user, "host": socket.gethostname(), "version": VERSION, "may_act": may_act}


def _end(*_: object) -> None:
    # uvicorn ends on the signal, and raises it again when it has.
    raise SystemExit(0)
