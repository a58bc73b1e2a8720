"""Owns how apps look as a configuration of HAProxy 2.4 or later: its Configuration Manual. Pure; the user's shell."""

import shlex
from collections.abc import Sequence

from ...supervisor.settings.health import HealthPlan
from .exported_app import ExportedApp, comments, plain, whole_seconds
from .hosts import Backend, backends, host_remarks, is_reachable, refuse_unreachable

# Where the app has no health_check_interval of its own: a host that is gone is not to be asked for half a minute.
CHECK_SECONDS = 2
CONNECT_SECONDS = 2
ALGORITHMS = {"round-robin": "roundrobin", "least-connections": "leastconn", "ip-hash": "source", "sticky": "source"}

DEFAULTS = f"""\
defaults
    timeout connect {CONNECT_SECONDS}s
    timeout client 60s
    timeout server 60s
    timeout queue 30s
    # Who does not take the connection is not asked again: another host is.
    retries 3
    option redispatch 1
"""

FORWARDED = "    option forwardfor\n"
HTTP = """\
    mode http
    # Only what may be repeated goes to another host after it was sent.
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET
"""


def haproxy(apps: Sequence[ExportedApp], hosts: Sequence[str]) -> str:
    """Return a configuration with a frontend and a backend for each port of each app.

    Raises:
        UsageError: no app listens anywhere, or a host is none.
    """
    refuse_unreachable(apps, hosts)
    return "\n".join([DEFAULTS, *(part for app in apps for part in _of_app(app, hosts))])


def _of_app(app: ExportedApp, hosts: Sequence[str]) -> list[str]:
    if not is_reachable(app, hosts):
        return [comments([f"{app.name} is left out: no port is known before it runs"])]
    first, *others = backends(app, hosts)
    sections = [_sections(app, backend) for backend in (first, *others)]
    return [comments(_remarks(app, hosts)) + sections[0], *sections[1:]]


def _sections(app: ExportedApp, backend: Backend) -> str:
    mode = "http" if _terminates(app) else "tcp"
    bind = f"    bind :{backend.port}\n" if backend.port else "    bind :80\n"
    frontend = f"frontend {backend.name}-in\n    mode {mode}\n{bind}    default_backend {backend.name}\n"
    lines = HTTP if mode == "http" else f"    mode {mode}\n"
    # What comes by a connection that is kept goes to the worker of whoever came by it first.
    lines += "    http-reuse never\n" if mode == "http" and app.config.balance == "sticky" else ""
    lines += FORWARDED if mode == "http" and not app.config.proxy_protocol else ""
    return (
        f"{frontend}\nbackend {backend.name}\n{lines}"
        f"    balance {ALGORITHMS[app.config.balance]}\n{_check(app)}{_servers(app, backend)}"
    )


def _terminates(app: ExportedApp) -> bool:
    """Whether HAProxy reads the requests: not of programs that may speak anything, nor within TLS."""
    return app.speaks_http and not app.speaks_tls


def _check(app: ExportedApp) -> str:
    plan = app.health
    if not plan or plan.kind != "http":
        return ""
    lines = [
        "option httpchk",
        f"http-check send meth GET uri {_word(plan.path)} ver HTTP/1.1 hdr Host {_word(plan.host)}",
        "http-check expect status 200-399",
    ]
    if plan.text and plan.text.isprintable():
        lines.append(f"http-check expect string {_word(plan.text)}")
    return "".join(f"    {line}\n" for line in lines)


def _servers(app: ExportedApp, backend: Backend) -> str:
    lines = [f"default-server check {_rhythm(app, app.health)}{_tls(app)}{_kept(app)}{_proxy(app)}"]
    lines += [f"server host{number} {_place(backend, at)}" for number, at in enumerate(backend.addresses, 1)]
    return "".join(f"    {line}\n" for line in lines)


def _rhythm(app: ExportedApp, plan: HealthPlan | None) -> str:
    interval = f"inter {round(app.config.health_check_interval * 1000) or CHECK_SECONDS * 1000}ms fastinter 500ms"
    return f"{interval} fall {plan.failures} rise {plan.successes}" if plan else f"{interval} fall 3 rise 1"


def _tls(app: ExportedApp) -> str:
    return " check-ssl verify none" if app.health and app.health.is_tls else ""


def _kept(app: ExportedApp) -> str:
    """Before the app closes an idle connection, HAProxy has."""
    if not _terminates(app) or not app.bounds_http:
        return ""
    return f" pool-purge-delay {max(1, round(app.config.timeout_keep_alive * 500))}ms"


def _proxy(app: ExportedApp) -> str:
    """What is said first on every connection; the checks say it, too."""
    return " send-proxy-v2" if app.config.proxy_protocol else ""


def _place(backend: Backend, address: str) -> str:
    return address if backend.port else _word(f"unix@{address}")


def _word(text: str) -> str:
    """Return one word of a line: quotes are those of a shell."""
    return shlex.quote(plain(text, "a health check"))


def _remarks(app: ExportedApp, hosts: Sequence[str]) -> list[str]:
    found = [f"{app.name}, written by `fastlb export`. Workers, limits and reloads stay fastlb's, on each host."]
    found += host_remarks(app, hosts)
    plan = app.health
    if not plan or plan.kind == "tcp":
        found.append("Hosts are asked by connecting, which the listener answers as long as fastlb runs: give /PATH")
    elif plan.kind == "command":
        found.append("--health-check: a command cannot be run on another host: hosts are asked by connecting")
    if plan and not app.config.health_check_interval:
        found.append(f"--health-check-interval was not given: it is {CHECK_SECONDS} s here, not 30 s")
    if plan and plan.timeout != whole_seconds(CHECK_SECONDS):
        found.append("--health-check-timeout: an answer has until the next question")
    if plan and plan.text and not plan.text.isprintable():
        found.append("--health-check-text: it has characters that cannot stand here")
    return found + _client_remarks(app)


def _client_remarks(app: ExportedApp) -> list[str]:
    """Return how the app gets to know its clients."""
    if app.config.proxy_protocol:
        return ["--proxy-protocol: each host must know HAProxy's address: --proxy-allow-ips ADDRESS"]
    if app.speaks_tls:
        return ["The app speaks TLS, which passes through: it sees HAProxy for everybody, but with --proxy-protocol"]
    if _terminates(app):
        return ["Clients: let the app believe HAProxy's X-Forwarded-For, by --forwarded-allow-ips ADDRESS"]
    return []
