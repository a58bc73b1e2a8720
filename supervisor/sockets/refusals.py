"""Owns the sentences for a bind(2) or listen(2) that failed: what, where, what to do. Runs in the supervisor.

Nothing here changes anything.
"""

import errno
import os
from pathlib import Path

from ..errors import FastlbError
from ..safe_text import escape_line
from ..settings.addresses import TcpAddress, UnixAddress


def explain_bind_error(error: OSError, spec: str, address: TcpAddress | UnixAddress) -> FastlbError:
    """The message for a bind(2) or listen(2) that failed. `address` is what `spec` was resolved to."""
    if isinstance(address, TcpAddress):
        return FastlbError(f"cannot listen on {spec}: {_explain_tcp(error, address)}")
    return FastlbError(f"cannot listen on {spec}: {_explain_unix(error, address)}")


def _explain_tcp(error: OSError, address: TcpAddress) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {address.port} is in use{_by_whom(address)}: stop that, or choose another --bind"
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


def _by_whom(address: TcpAddress) -> str:
    owners = listening_processes(address.port)
    return f" by {', '.join(owners)}" if owners else ""


def listening_processes(port: int) -> list[str]:
    """Who listens on a TCP port: "name (pid 4711)" each; only processes that we may look at."""
    import psutil  # slow to import, and needed only to explain a failure

    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return []
    listening = (c for c in connections if c.status == psutil.CONN_LISTEN and c.laddr)
    pids = {c.pid for c in listening if c.laddr.port == port and c.pid}  # type: ignore[union-attr]
    return [_describe_process(pid) for pid in sorted(pids)]


def _describe_process(pid: int) -> str:
    import psutil

    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        words = []
    command = escape_line(" ".join(words))[:80] or "a process"
    return f"{command} (pid {pid})"
