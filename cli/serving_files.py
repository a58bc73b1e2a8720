"""Owns what a site of static files is as an app: its target, where it listens, what it is called.

Runs in the user's shell. For `fastlb serve`, and for an app of PM2's whose script is the word `serve`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..supervisor.errors import FastlbError, UsageError
from ..supervisor.settings.addresses import TcpAddress, parse_address
from ..worker.static_files.site import IMPORT_DIRECTORY, TARGET

SCRIPT = "serve"  # in a file of PM2's
DEFAULT_PORT = "8080"
_PORT_AT, _HOST_AT = 1, 2  # among the arguments of PM2's server
_KEPT = {"target": TARGET, "app_dir": IMPORT_DIRECTORY, "exec_mode": "cluster", "interface": "wsgi"}


def site_settings(arguments: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a site that is started with `arguments`; `given`: those that are said.

    Raises:
        UsageError: one is given that the site has itself.
    """
    for name in (*_KEPT, "interpreter", "factory"):
        if name in given:
            raise UsageError(f"fastlb serve --{name.replace('_', '-')}: this is for an app of your own")
    settings = dict(given) | _KEPT | {"args": tuple(arguments)}
    settings.setdefault("name", _name(settings.get("bind", ())))
    return settings


def _name(binds: Sequence[str]) -> str:
    """Return PM2's name for a site, by its port."""
    try:
        address = parse_address(binds[0]) if binds else None
    except FastlbError:
        address = None  # it is told when the settings are checked
    port = f"-{address.port}" if isinstance(address, TcpAddress) else ""
    return f"static-page-server{port}"


def site_of_pm2(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what becomes of the settings of an app of PM2's whose script is `serve`.

    Path, port and host are arguments there, or variables, which its workers read.
    """
    arguments, env = settings.get("args", ()), settings.get("env", {})
    places = [argument for argument in arguments if not argument.startswith("-")]
    port = env.get("PM2_SERVE_PORT") or "".join(places[_PORT_AT : _PORT_AT + 1]) or DEFAULT_PORT
    host = env.get("PM2_SERVE_HOST") or "".join(places[_HOST_AT : _HOST_AT + 1]) or "0.0.0.0"
    given = {name: value for name, value in settings.items() if name not in _KEPT}
    return site_settings(arguments, {"bind": (f"{host}:{port}",)} | given)
