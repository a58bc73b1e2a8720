"""Owns the sentences for what a machine refuses at a start: what, where, what to do. Runs in the supervisor.

Nothing here changes anything, except that `raise_descriptor_limit` uses the whole of what we are allowed.
"""

import errno
import os
import resource
from pathlib import Path

from ..errors import FastlbError
from ..settings.addresses import TcpAddress, UnixAddress

# Held by the supervisor for one worker: lifecycle channel, both ends of the connection channel, page, pidfd,
# two pipes. The dispatcher holds fewer. Twice, as a reload has two generations.
DESCRIPTORS_PER_WORKER = 2 * 8
DESCRIPTORS_BESIDE = 64
# fs.nr_open's default. A limit of "infinity" makes programs that walk over all descriptors slow.
MOST_DESCRIPTORS = 1 << 20


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

    from ..output.event_log import escape_controls

    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        words = []
    command = escape_controls(" ".join(words))[:80] or "a process"
    return f"{command} (pid {pid})"


def raise_descriptor_limit() -> int:
    """Raise the soft RLIMIT_NOFILE to the hard one, for us and what we start; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def check_limits(workers: int) -> None:
    """Whether this machine lets us start so many workers; after `raise_descriptor_limit`.

    Raises:
        FastlbError: says which limit is too low, and for how many workers it is enough.
    """
    _check_descriptors(workers)
    _check_processes(workers)


def _check_descriptors(workers: int) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = DESCRIPTORS_BESIDE + workers * DESCRIPTORS_PER_WORKER
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return
    enough_for = max((limit - DESCRIPTORS_BESIDE) // DESCRIPTORS_PER_WORKER, 0)
    raise FastlbError(
        f"{workers} workers need {needed} file descriptors and the limit is {limit} (for {enough_for}):"
        f" raise it with `ulimit -n {needed}` (LimitNOFILE= in a unit of systemd), or start fewer workers"
    )


def _check_processes(workers: int) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    # Root is not bound by it, see setrlimit(2).
    if limit == resource.RLIM_INFINITY or os.geteuid() == 0 or limit > workers + 2:
        return
    raise FastlbError(
        f"{workers} workers need more processes than this user may have (limit {limit}):"
        f" raise it with `ulimit -u`, or start fewer workers"
    )

