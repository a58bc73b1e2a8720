"""Owns how apps look as a compose file: compose-spec, as `docker compose` reads it. Pure; the user's shell."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from ...supervisor.settings.addresses import ANY_HOST, TcpAddress
from ...supervisor.settings.health import HealthPlan
from .container import memory_bytes, remarks, start_command
from .exported_app import ExportedApp, comments, whole_seconds
from .yaml_text import document

OF_IDENTITY = ("uid", "gid", "nofile")
# There is a Python wherever there is fastlb; curl there is not.
ASK_HTTP = (
    "import ssl, urllib.request as u; "
    "u.urlopen(u.Request({url!r}, headers={{'Host': {host!r}}}), timeout={timeout:g}, context={context})"
)
ASK_TCP = "import socket; socket.create_connection(('127.0.0.1', {port}), {timeout:g})"


def compose(apps: Sequence[ExportedApp], image: str) -> str:
    """Return a compose file with a service for each app. `image`: what they run; empty: images called as the apps."""
    services = {app.name: _service(app, image or app.label) for app in apps}
    said = [line for app in apps for line in _remarks(app)]
    return comments(said) + document({"services": _without_interpolation(services)})


def _service(app: ExportedApp, image: str) -> dict[str, Any]:
    config = app.config
    service: dict[str, Any] = {
        "image": image,
        "command": start_command(app, OF_IDENTITY),
        "restart": "unless-stopped" if config.autorestart else "no",
        "stop_grace_period": f"{app.stop_seconds}s",
    }
    if config.uid or config.gid:
        service["user"] = f"{config.uid or 0}:{config.gid}".rstrip(":")
    if config.env:
        service["environment"] = list(config.env)
    if app.tcp:
        service["ports"] = [_published(address) for address in app.tcp]
    if config.nofile:
        service["ulimits"] = {"nofile": config.nofile}
    if memory := memory_bytes(app, app.scaling.maximum if app.scaling else config.workers):
        service["deploy"] = {"resources": {"limits": {"memory": f"{memory[1]}b"}}}
    if test := _test(app):
        service["healthcheck"] = test
    return service


def _published(address: TcpAddress) -> str:
    host = "127.0.0.1" if _is_name(address.host) else address.host
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{address.port}:{address.port}" if shown else f"{address.port}:{address.port}"


def _is_name(host: str) -> bool:
    if host == ANY_HOST:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _test(app: ExportedApp) -> dict[str, Any] | None:
    plan = app.health
    command = _test_command(app, plan) if plan else None
    if not plan or not command:
        return None
    return {
        "test": command,
        "interval": f"{whole_seconds(plan.interval)}s",
        "timeout": f"{whole_seconds(plan.timeout)}s",
        "retries": plan.failures,
        "start_period": f"{whole_seconds(app.config.listen_timeout)}s",
    }


def _test_command(app: ExportedApp, plan: HealthPlan) -> list[str] | None:
    if plan.kind == "command":
        return ["CMD-SHELL", plan.command]
    port = app.probe_port
    if not port:
        return None
    if plan.kind == "tcp":
        return ["CMD", "python3", "-c", ASK_TCP.format(port=port, timeout=plan.timeout)]
    url = f"{'https' if plan.is_tls else 'http'}://127.0.0.1:{port}{plan.path}"
    context = "ssl._create_unverified_context()" if plan.is_tls else "None"
    code = ASK_HTTP.format(url=url, host=plan.host, timeout=plan.timeout, context=context)
    return ["CMD", "python3", "-c", code]


def _without_interpolation(value: Any) -> Any:
    """Compose takes $NAME for a variable of its own unless the sign is doubled."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_without_interpolation(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_interpolation(item) for key, item in value.items()}
    return value


def _remarks(app: ExportedApp) -> list[str]:
    config = app.config
    found = [f"{app.name}, written by `fastlb export`.", *remarks(app)]
    if config.env:
        found.append("--env: values are not written: they are those of the shell, or of .env beside this file")
    if config.gid and not config.uid:
        found.append("--gid: compose takes it with a user alone, and has root here")
    if any(_is_name(address.host) for address in app.tcp):
        found.append("--bind: a published port takes an address, no name: it is 127.0.0.1 here")
    plan = app.health
    if not plan:
        return [*found, "--health-check was not given, so there is no healthcheck"]
    found.append("healthcheck: compose only shows what it finds; fastlb in the container replaces what is ill")
    if plan.kind != "command" and app.why_no_probe:
        found.append(f"{app.why_no_probe}, so there is no healthcheck")
    if plan.text:
        found.append("--health-check-text: the healthcheck looks at the status alone")
    return found
