"""Owns whether files, versions, ports and supervisors are as they should be. Pure; runs in the user's shell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...supervisor.kinds import effective_bind
from .examined_app import ExaminedApp, SocketFile
from .finding import Finding
from .listeners import Listener
from .ports import is_taken, overlap, tcp_addresses

CONTROL_MODE = 0o600
GROUP_OR_OTHERS_WRITE = 0o022
MOST_NAMED = 3


@dataclass(frozen=True)
class Home:
    """The directory of our files.

    Attributes:
        uid, mode: its owner and mode bits; mode None: it is not there.
        our_uid: who asks.
        foreign: files below it that belong to somebody else than its owner, relative to it.
    """

    path: str
    our_uid: int
    uid: int = -1
    mode: int | None = None
    foreign: Sequence[str] = ()


def find_home(home: Home) -> Finding:
    """Say whether the home is its owner's alone."""
    if home.mode is None:
        return Finding(check="home", severity="ok", measured=f"{home.path} is not there yet")
    measured = f"{home.path} has mode {home.mode:04o} and belongs to uid {home.uid}"
    if home.uid not in (home.our_uid, 0) and home.our_uid != 0:
        meaning = "Commands refuse a home that is another user's."
        return _bad_home(measured, meaning, "FASTLB_HOME=DIRECTORY OF YOURS, or be that user: sudo -u")
    if home.mode & GROUP_OR_OTHERS_WRITE:
        meaning = "Other users may change what runs as you: nothing is started there."
        return _bad_home(measured, meaning, f"chmod go-w {home.path}")
    if home.foreign:
        named = ", ".join(home.foreign[:MOST_NAMED])
        more = f" and {len(home.foreign) - MOST_NAMED} more" if len(home.foreign) > MOST_NAMED else ""
        meaning = (
            f"Not its owner's: {named}{more}, as after a command by sudo: those apps cannot be started or stopped."
        )
        return _bad_home(measured, meaning, f"sudo chown -R {home.uid} {home.path}")
    return Finding(check="home", severity="ok", measured=measured)


def _bad_home(measured: str, meaning: str, mend: str) -> Finding:
    return Finding(check="home", severity="error", measured=measured, meaning=meaning, mend=mend)


def find_sockets(app: ExaminedApp) -> list[Finding]:
    """Say whether clients and commands find the app's sockets, and nobody else may use the second."""
    found = [_missing(app.name, one) for one in app.sockets if one.mode is None]
    control = app.control_socket
    if control is None:
        return found
    if control.mode is None:
        return [*found, _missing(app.name, control)]
    measured = f"{control.path} has mode {control.mode:04o}"
    if control.mode & ~CONTROL_MODE:
        wider = Finding(
            check="sockets",
            severity="error",
            app=app.name,
            measured=measured,
            meaning="It was made wider: other users may connect, and are refused by their uid alone.",
            mend=f"chmod 600 {control.path}",
        )
        return [*found, wider]
    names = ", ".join(f"{one.path} {one.mode:04o}" for one in app.sockets if one.mode is not None)
    return found or [
        Finding(check="sockets", severity="ok", app=app.name, measured=f"{measured}{', ' if names else ''}{names}")
    ]


def _missing(name: str, socket: SocketFile) -> Finding:
    return Finding(
        check="sockets",
        severity="error",
        app=name,
        measured=f"there is no socket {socket.path}",
        meaning="It was removed, or another file is in its place: whoever connects there finds nobody.",
        mend=f"fastlb stop {name} && fastlb start {name}",
    )


def find_state(app: ExaminedApp) -> Finding:
    """Say how the app is, as `list` says it."""
    status, problem = app.entry.status, app.last.problem
    measured = f"{status}{f': {problem}' if problem else ''}"
    if app.last.is_unreachable:
        return _unreachable(app.name, measured)
    mends = {
        "died": f"fastlb start {app.name}",
        "unresponsive": f"fastlb kill {app.name} && fastlb start {app.name}",
        "errored": f"fastlb show {app.name} says why; fastlb restart {app.name} when that is mended",
        "degraded": f"fastlb show {app.name} says why",
    }
    meanings = {
        "unresponsive": "Its workers may go on serving, but nobody looks after them, and no command is heard.",
        "degraded": "It serves with fewer workers than it should.",
    }
    if status not in mends:
        severity = "warning" if problem else "ok"
        meaning = "Some figures are missing here." if problem else ""
        return Finding(check="state", severity=severity, app=app.name, measured=measured, meaning=meaning)  # type: ignore[arg-type]
    return Finding(
        check="state",
        severity="warning" if status == "degraded" else "error",
        app=app.name,
        measured=measured,
        meaning=meanings.get(status, "It does not serve."),
        mend=mends[status],
    )


def _unreachable(name: str, measured: str) -> Finding:
    return Finding(
        check="state",
        severity="warning",
        app=name,
        measured=measured,
        meaning="How it is, and whether it serves, is not known: this process may not, or cannot, ask its supervisor.",
        mend=f"fastlb doctor {name}, asked where it runs and as whoever has started it, or as root",
    )


def find_version(app: ExaminedApp, version: str) -> Finding | None:
    """Say whether the app is run by the fastlb that asks, which is of `version`."""
    theirs = app.entry.version
    if not theirs:
        return None
    measured = f"run by fastlb {theirs}, and this command is {version}"
    if theirs == version:
        return Finding(
            check="version", severity="ok", app=app.name, measured=f"run by fastlb {theirs}, as this command"
        )
    return Finding(
        check="version",
        severity="warning",
        app=app.name,
        measured=measured,
        meaning="Its supervisor has the old faults, and commands that it does not know are refused.",
        mend=f"fastlb update {app.name}",
    )


def taken_ports(apps: Sequence[ExaminedApp], listeners: Sequence[Listener]) -> dict[str, set[int]]:
    """Return, for each app that does not run, the ports that it wants and somebody else has."""
    taken = {}
    for app in apps:
        if app.config is not None and not app.is_running:
            wanted = tcp_addresses(effective_bind(app.config))
            taken[app.name] = {address.port for address in wanted if is_taken(address, listeners)}
    return {name: ports for name, ports in taken.items() if ports}


def find_port_conflicts(
    apps: Sequence[ExaminedApp], taken: Mapping[str, set[int]], whose: Mapping[int, str]
) -> list[Finding]:
    """Say which apps could not be started because of their ports.

    Args:
        apps: all.
        taken: of `taken_ports`.
        whose: who has a port, for people.
    """
    found = [
        Finding(
            check="port",
            severity="warning",
            app=name,
            measured=f"port {port} is taken{f' by {whose[port]}' if whose.get(port) else ''}",
            meaning="The app is stopped, and cannot be started while that listens.",
            mend=f"stop that, or fastlb start {name} --bind ANOTHER ADDRESS",
        )
        for name, ports in taken.items()
        for port in sorted(ports)
    ]
    return found + [finding for finding in _same_binds(apps) if finding.app not in taken]


def _same_binds(apps: Sequence[ExaminedApp]) -> list[Finding]:
    """Two apps that want the same port, neither of which has to run."""
    wanted = [(app.name, one) for app in apps if app.config for one in tcp_addresses(effective_bind(app.config))]
    found = []
    for at, (name, address) in enumerate(wanted):
        for other, theirs in wanted[:at]:
            if other != name and address.port == theirs.port and overlap(address.host, theirs.host):
                found.append(
                    Finding(
                        check="port",
                        severity="warning",
                        app=name,
                        measured=f"port {address.port} is also that of {other}",
                        meaning="Only one of them can run at a time.",
                        mend=f"fastlb start {name} --bind ANOTHER ADDRESS",
                    )
                )
    return found
