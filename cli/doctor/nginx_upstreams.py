"""Owns what nginx's configuration says of upstreams: where they are, and how long it keeps connections to them.

As in ngx_http_upstream_module: a block `upstream NAME { server ...; keepalive N; keepalive_timeout T; }`. Text that is
included from elsewhere is not looked for. Runs in the user's shell; reads only.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DEFAULT_KEEPALIVE_SECONDS = 60.0
MOST_FILES, MOST_BYTES = 200, 1 << 20
PLACES = ("etc/nginx/nginx.conf", "etc/nginx/conf.d/*.conf", "etc/nginx/sites-enabled/*", "etc/nginx/http.d/*.conf")
_COMMENT = re.compile(r"#[^\n]*")
_UPSTREAM = re.compile(r"\bupstream\s+(\S+)\s*\{([^{}]*)\}")
_TIME = re.compile(r"(\d+)(ms|s|m|h|d)?")
_SECONDS = {"ms": 1e-3, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Upstream:
    """A group of servers of nginx.

    Attributes:
        servers: addresses, as they are written: `127.0.0.1:8000`, `unix:/run/shop.sock`.
        keeps_seconds: how long it keeps an idle connection; 0: it keeps none.
        file: where it stands.
    """

    name: str
    servers: tuple[str, ...]
    keeps_seconds: float
    file: str


def read_upstreams(text: str, file: str) -> list[Upstream]:
    """Return the upstreams of a configuration file; `file`: its name, for people."""
    return [_upstream(match[1], match[2], file) for match in _UPSTREAM.finditer(_COMMENT.sub("", text))]


def find_upstreams(root: Path) -> list[Upstream]:
    """Return the upstreams of the nginx that is installed below `root`."""
    found: list[Upstream] = []
    for path in list(_files(root))[:MOST_FILES]:
        with suppress(OSError), path.open(errors="replace") as file:
            found += read_upstreams(file.read(MOST_BYTES), f"/{path.relative_to(root)}")
    return found


def _files(root: Path) -> Iterator[Path]:
    for place in PLACES:
        with suppress(OSError):
            yield from sorted(path for path in root.glob(place) if path.is_file())


def _upstream(name: str, body: str, file: str) -> Upstream:
    words = [statement.split() for statement in body.split(";")]
    said = {line[0]: line[1] for line in words if len(line) > 1}
    servers = tuple(line[1] for line in words if len(line) > 1 and line[0] == "server")
    keeps = 0.0
    if said.get("keepalive", "0") != "0":
        keeps = _seconds(said["keepalive_timeout"]) if "keepalive_timeout" in said else DEFAULT_KEEPALIVE_SECONDS
    return Upstream(name, servers, keeps, file)


def _seconds(text: str) -> float:
    return sum(int(number) * _SECONDS[unit] for number, unit in _TIME.findall(text))
