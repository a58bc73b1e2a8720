"""Owns the sentences for a bind(2) or listen(2) that failed: what, where, what to do.

Runs in the supervisor, and in the shell that serves metrics.
Nothing here changes anything.
"""

import contextlib
import errno
import os
from pathlib import Path

from ..errors import FastlbError
from ..safe_text import escape_line
from ..settings.addresses import TcpAddress, UnixAddress

SUPERVISOR_MODULE = "fastlb.supervisor"
DISPATCHER_MODULE = "fastlb.lb"


def explain_bind_error(error: OSError, spec: str, address: TcpAddress | UnixAddress) -> FastlbError:
    """The message for a bind(2) or listen(2) that failed. `address` is what `spec` was resolved to."""
    if isinstance(address, TcpAddress):
        return FastlbError(f"cannot listen on {spec}: {_explain_tcp(error, address)}")
    return FastlbError(f"cannot listen on {spec}: {_explain_unix(error, address)}")


def _explain_tcp(error: OSError, address: TcpAddress) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {address.port} is in use{_by_whom(address.port)}, or choose another --bind"
        case errno.EACCES | errno.EPERM:
            return (
                f"ports below {_first_unprivileged_port()} need the capability CAP_NET_BIND_SERVICE, root, or"
                " a lower net.ipv4.ip_unprivileged_port_start: choose a higher port"
            )
        case errno.EADDRNOTAVAIL:
            return f"{address.host} is no address of this machine: see `ip address`, or bind :{address.port}"
        case errno.EAFNOSUPPORT:
            return f"this machine has no IPv6, which {address.host} needs: use an IPv4 address"
    return error.strerror or str(error)


def _explain_unix(error: OSError, address: UnixAddress) -> str:
    directory = os.path.dirname(address.path)
    match error.errno:
        case errno.ENOENT:
            return f"there is no directory {directory}: create it first"
        case errno.ENOTDIR:
            return f"{directory} is not a directory"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"{directory} is not writable for this user: use another path"
        case errno.EADDRINUSE:
            return f"{address.path} is in use: stop its owner, or use another path"
    return error.strerror or str(error)


def _first_unprivileged_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def explain_answered_path(spec: str, path: Path) -> FastlbError:
    """The message for a unix socket that somebody answers on already."""
    app = _app_among(_path_holders(str(path)))
    whose = f"{path} is in use{app}" if app else f"another process listens on {path}: stop it"
    return FastlbError(f"--bind {spec}: {whose}, or use another path")


def _app_among(pids: list[int]) -> str:
    """Return ` by the app NAME: how to end it` if one of ours is among these processes; empty: none is."""
    for pid in pids:
        if name := _app_of(pid):
            return f" by the app {name}: `{_home_prefix(pid)}fastlb stop {name}` ends it"
    return ""


def _by_whom(port: int) -> str:
    pids = _port_holders(port)
    owners = ", ".join(_describe_process(pid) for pid in pids)
    return _app_among(pids) or (f" by {owners}: stop that" if owners else ": stop that")


def listening_processes(port: int) -> list[str]:
    """Who listens on a TCP port: "name (pid 4711)" each; only processes that we may look at."""
    return [_describe_process(pid) for pid in _port_holders(port)]


def _port_holders(port: int) -> list[int]:
    return sorted({pid for pid, address in _listeners("tcp") if getattr(address, "port", None) == port})


def _path_holders(path: str) -> list[int]:
    return sorted({pid for pid, address in _listeners("unix") if address == path})


def _listeners(kind: str) -> list[tuple[int, object]]:
    import psutil  # slow to import, and needed only to explain a failure

    try:
        connections = psutil.net_connections(kind=kind)
    except (psutil.Error, OSError):
        return []
    meant = (c for c in connections if c.pid and c.laddr and (kind == "unix" or c.status == psutil.CONN_LISTEN))
    return [(c.pid, c.laddr) for c in meant if c.pid]


def _app_of(pid: int) -> str:
    """Return the name of the app whose supervisor or dispatcher this is; empty: it is none of ours."""
    words = _command_line(pid)
    if DISPATCHER_MODULE in words:
        words = _command_line(_parent(pid))
    return words[-1] if SUPERVISOR_MODULE in words else ""


def _home_prefix(pid: int) -> str:
    """Return `FASTLB_HOME=DIR ` if an app of another home than ours is meant."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        theirs = psutil.Process(pid).environ().get("FASTLB_HOME", "")
        if theirs != os.environ.get("FASTLB_HOME", ""):
            return f"FASTLB_HOME={escape_line(theirs)} "
    return ""


def _parent(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).ppid())
    except psutil.Error:
        return 0


def _command_line(pid: int) -> list[str]:
    import psutil

    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return []


def _describe_process(pid: int) -> str:
    command = escape_line(" ".join(_command_line(pid)))[:80] or "a process"
    return f"{command} (pid {pid})"
