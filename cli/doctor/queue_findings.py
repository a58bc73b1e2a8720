"""Owns what waits in the kernel for an app's workers: backlog, somaxconn, overflows. Pure; runs in the user's shell."""

from collections.abc import Sequence

from .examined_app import ExaminedApp
from .finding import Finding
from .listeners import Listener
from .machine import Machine
from .ports import tcp_ports

SOMAXCONN, SYN_BACKLOG, SYNCOOKIES = "net/core/somaxconn", "net/ipv4/tcp_max_syn_backlog", "net/ipv4/tcp_syncookies"
NEARLY_FULL = 0.8
MORE_HANDS = "more workers (`fastlb scale {name} max`) or for WSGI more --threads: it fills only while all are busy"


def find_somaxconn(machine: Machine, apps: Sequence[ExaminedApp]) -> Finding:
    """Say whether the kernel lets as many connections wait as apps ask for."""
    most = machine.sysctls.get(SOMAXCONN)
    if most is None:
        return Finding(check="somaxconn", severity="ok", measured="not known")
    asked = {app.name: app.config.backlog for app in apps if app.config and app.config.backlog > most}
    if not asked:
        return Finding(check="somaxconn", severity="ok", measured=f"net.core.somaxconn is {most}, no app asks for more")
    names = ", ".join(f"{name} for {backlog}" for name, backlog in asked.items())
    return Finding(
        check="somaxconn",
        severity="warning",
        measured=f"net.core.somaxconn is {most}, and {names} (--backlog)",
        meaning=f"No more than {most} connections wait while all workers are busy; the kernel drops the others, and"
        " their clients try again after 1, 3, 7 seconds.",
        mend=f"sysctl -w net.core.somaxconn={max(asked.values())}, then stop and start: {', '.join(asked)}",
    )


def find_syn_backlog(machine: Machine, apps: Sequence[ExaminedApp]) -> Finding:
    """Say whether handshakes are dropped before they come to any queue."""
    most, cookies = machine.sysctls.get(SYN_BACKLOG), machine.sysctls.get(SYNCOOKIES)
    if most is None:
        return Finding(check="tcp_max_syn_backlog", severity="ok", measured="not known")
    dropped = machine.last.counters.get("TcpExt.TCPReqQFullDrop", 0)
    growing = machine.grown("TcpExt.TCPReqQFullDrop")
    measured = f"net.ipv4.tcp_max_syn_backlog is {most}, tcp_syncookies {cookies}, {dropped:,} handshakes were dropped"
    largest = max((app.config.backlog for app in apps if app.config), default=0)
    if not growing and (cookies or largest <= most):
        return Finding(check="tcp_max_syn_backlog", severity="ok", measured=measured)
    return Finding(
        check="tcp_max_syn_backlog",
        severity="error" if growing else "warning",
        measured=f"{measured}, {growing:,} of them in the interval",
        meaning="Without cookies a burst of new clients, or a flood, keeps others from connecting.",
        mend=f"sysctl -w net.ipv4.tcp_syncookies=1 net.ipv4.tcp_max_syn_backlog={max(largest, 4096)}",
    )


def find_drops_of_machine(machine: Machine) -> Finding:
    """Say whether any socket of the machine drops connections; the findings of apps say which of theirs."""
    overflows = machine.last.counters.get("TcpExt.ListenOverflows")
    drops = machine.last.counters.get("TcpExt.ListenDrops")
    if overflows is None or drops is None:
        return Finding(check="listen overflows", severity="ok", measured="not known")
    growing = machine.grown("TcpExt.ListenDrops")
    measured = f"since the boot {overflows:,} connections found a full queue, {drops:,} were dropped (any program's)"
    if not growing:
        severity, meaning = ("note", "It has happened, and does not happen now.") if drops else ("ok", "")
        return Finding(check="listen overflows", severity=severity, measured=measured, meaning=meaning)  # type: ignore[arg-type]
    return Finding(
        check="listen overflows",
        severity="warning",
        measured=f"{measured}, {growing:,} of them in the interval",
        meaning="Some program accepts too slowly: clients wait 1, 3, 7 seconds for their next try.",
        mend="ss -ltnm: in the column skmem the number behind d says which socket",
    )


def find_overflows(machine: Machine, app: ExaminedApp) -> list[Finding]:
    """Say for each TCP listener of an app whether connections waited in vain."""
    if machine.last.listeners is None:
        return []
    ports = tcp_ports(app.entry.binds)
    before = {(one.host, one.port): one for one in machine.first.listeners or ()}
    return [
        _of_listener(app.name, one, before.get((one.host, one.port)))
        for one in machine.last.listeners
        if one.port in ports
    ]


def _of_listener(name: str, now: Listener, before: Listener | None) -> Finding:
    dropped = now.dropped or 0
    growing = dropped - (before.dropped or 0) if before else 0
    measured = f"{now.host}:{now.port}: {now.waiting} of {now.backlog} wait, {dropped:,} were dropped since it listens"
    is_full = now.waiting >= NEARLY_FULL * now.backlog
    if not dropped and not is_full:
        return Finding(check="accept queue", severity="ok", app=name, measured=measured)
    if growing > 0 or is_full:
        meaning = (
            "Connections come faster than the workers take them: their clients wait 1, 3, 7 seconds and try again."
        )
        text = f"{measured}, {growing:,} of them in the interval" if growing > 0 else measured
        return Finding(
            check="accept queue",
            severity="error",
            app=name,
            measured=text,
            meaning=meaning,
            mend=MORE_HANDS.format(name=name),
        )
    return Finding(
        check="accept queue",
        severity="warning",
        app=name,
        measured=measured,
        meaning="The queue was full at times: these clients had to try again after seconds.",
        mend=MORE_HANDS.format(name=name) + "; or a larger --backlog for bursts",
    )
