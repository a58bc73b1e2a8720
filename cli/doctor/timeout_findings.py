"""Owns which time-outs do not fit together: of app, of nginx, of whoever stops it. Pure; runs in the user's shell."""

from collections.abc import Sequence
from typing import Literal

from ...supervisor.kinds import traits_of
from ...supervisor.settings.app_config import AppConfig
from ...supervisor.settings.declared import declared_settings
from ...supervisor.settings.variables import fits
from .examined_app import ExaminedApp
from .finding import Finding
from .nginx_upstreams import Upstream
from .ports import EVERY, LOOPBACKS, tcp_addresses

Container = Literal["", "docker", "kubernetes"]
# After SIGTERM: docker stop, Pod.spec.terminationGracePeriodSeconds.
KILLED_AFTER: dict[Container, float] = {"docker": 10.0, "kubernetes": 30.0}
LONGER: dict[Container, str] = {
    "docker": "docker run --stop-timeout {seconds:.0f}, or stop_grace_period: {seconds:.0f}s",
    "kubernetes": "terminationGracePeriodSeconds: {seconds:.0f}",
}
# What a stop needs above kill_timeout: SIGTERM, a second, SIGKILL, the supervisor's own end.
MARGIN_SECONDS = 5.0
_KEEP_ALIVE = next(setting for setting in declared_settings() if setting.name == "timeout_keep_alive")
LOCAL_HOSTS = (*EVERY, *LOOPBACKS, "localhost")


def find_keep_alive(app: ExaminedApp, upstreams: Sequence[Upstream]) -> list[Finding]:
    """Say for each upstream of nginx that leads to the app whether nginx is the first to end an idle connection."""
    config = app.config
    if config is None or not fits(_KEEP_ALIVE, traits_of(config)):
        return []
    return [_of_upstream(app.name, config, one) for one in upstreams if one.keeps_seconds and leads_to(one, app)]


def leads_to(upstream: Upstream, app: ExaminedApp) -> bool:
    """Whether a server of the upstream is where the app listens."""
    sockets = {socket.path for socket in app.sockets}
    ours = {address.port for address in tcp_addresses(app.entry.binds)}
    return any(
        server.removeprefix("unix:").rstrip(":") in sockets
        if server.startswith("unix:")
        else any(one.port in ours and one.host in LOCAL_HOSTS for one in tcp_addresses([server]))
        for server in upstream.servers
    )


def _of_upstream(name: str, config: AppConfig, upstream: Upstream) -> Finding:
    ours, theirs = config.timeout_keep_alive, upstream.keeps_seconds
    measured = (
        f"nginx keeps idle connections of upstream {upstream.name} {theirs:g} s ({upstream.file}), the app {ours:g} s"
    )
    if theirs < ours:
        return Finding(check="keep-alive", severity="ok", app=name, measured=measured)
    return Finding(
        check="keep-alive",
        severity="warning",
        app=name,
        measured=measured,
        meaning="A request of nginx can meet a connection that the app is just closing: 502 for a POST.",
        mend=f"`keepalive_timeout {max(ours - 1, 1):g}s;` in the upstream, or fastlb set {name}"
        f" timeout_keep_alive={theirs + 5:g} && fastlb reload {name}",
    )


def find_stop_timeout(app: ExaminedApp, container: Container) -> Finding | None:
    """Say whether whoever stops the app waits as long as its workers may take. `container`: whose we are in."""
    if app.config is None:
        return None
    takes = app.config.kill_timeout
    if app.unit is not None:
        return _of_unit(app, takes)
    if not container:
        return None
    killed = KILLED_AFTER[container]
    measured = (
        f"kill_timeout is {takes:g} s, and {container} kills {killed:g} s after SIGTERM unless it was told otherwise"
    )
    if takes < killed:
        return Finding(check="time to stop", severity="ok", app=app.name, measured=measured)
    longer = LONGER[container].format(seconds=takes + 3 * MARGIN_SECONDS)
    return Finding(
        check="time to stop",
        severity="warning",
        app=app.name,
        measured=measured,
        meaning="Requests that are still finishing then are lost, at each deployment.",
        mend=f"{longer}; or fastlb set {app.name} kill_timeout={killed - MARGIN_SECONDS / 2:g}"
        f" && fastlb reload {app.name}",
    )


def _of_unit(app: ExaminedApp, takes: float) -> Finding:
    unit = app.unit
    assert unit
    waits = "for ever" if not unit.stop_seconds else f"{unit.stop_seconds:g} s"
    measured = f"kill_timeout is {takes:g} s; {unit.name} waits {waits} (TimeoutStopSec=), KillMode={unit.kill_mode}"
    meanings, mends = [], []
    if unit.stop_seconds and unit.stop_seconds < takes + MARGIN_SECONDS:
        meanings.append("systemd kills what is still finishing.")
        mends.append(f"TimeoutStopSec={takes + 3 * MARGIN_SECONDS:.0f}")
    if unit.kill_mode == "control-group":
        meanings.append("systemd sends SIGTERM to the workers, too, which then close connections under requests.")
        mends.append("KillMode=mixed")
    if not meanings:
        return Finding(check="time to stop", severity="ok", app=app.name, measured=measured)
    return Finding(
        check="time to stop",
        severity="warning",
        app=app.name,
        measured=measured,
        meaning=" ".join(meanings),
        mend=f"systemctl edit {unit.name}: in [Service] {' and '.join(mends)}; `fastlb startup` again, if it wrote it",
    )


def find_long_requests(app: ExaminedApp) -> Finding | None:
    """Say whether requests may run longer than a reload leaves them."""
    config = app.config
    if config is None or not config.request_timeout:
        return None
    measured = f"a request may run {config.request_timeout:g} s (request_timeout), and a reload ends it after"
    measured += f" {config.kill_timeout:g} s (kill_timeout)"
    if config.request_timeout <= config.kill_timeout:
        return Finding(check="long requests", severity="ok", app=app.name, measured=measured)
    return Finding(
        check="long requests",
        severity="note",
        app=app.name,
        measured=measured,
        meaning="Requests that are allowed to run so long are lost when a reload or a stop comes.",
        mend=f"fastlb set {app.name} kill_timeout={config.request_timeout:g} && fastlb reload {app.name}",
    )
