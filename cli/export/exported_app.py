"""Owns what every format must know of an app that is written down for another system. Pure; the user's shell."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ...supervisor.errors import UsageError
from ...supervisor.kinds import effective_bind, traits_of
from ...supervisor.settings.addresses import BindAddress, TcpAddress, UnixAddress, parse_address
from ...supervisor.settings.app_config import AppConfig
from ...supervisor.settings.declared import declared_settings
from ...supervisor.settings.health import HealthPlan, health_plan
from ...supervisor.settings.scaling import ScalingPlan, scaling_plan
from ...supervisor.settings.variables import fits
from ..startup.boot_app import STOP_MARGIN_SECONDS

# Of names in Kubernetes: a label of DNS (RFC 1123).
LONGEST_LABEL = 63
KEPT = "timeout_keep_alive"
_NOT_IN_LABELS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class ExportedApp:
    """An app and what its settings mean outside of this machine."""

    config: AppConfig

    @property
    def name(self) -> str:
        """What it is called here."""
        return self.config.name

    @property
    def label(self) -> str:
        """Its name as a label of DNS, as a Service of Kubernetes needs it: it begins with a letter."""
        label = _NOT_IN_LABELS.sub("-", self.name.lower()).strip("-") or "app"
        label = label if label[0].isalpha() else f"app-{label}"
        return label[:LONGEST_LABEL].rstrip("-")

    @property
    def tcp(self) -> tuple[TcpAddress, ...]:
        """Where it listens, as far as the port is known before it runs; each port once."""
        addresses = (found for found in self._binds if isinstance(found, TcpAddress) and found.port)
        return tuple({address.port: address for address in addresses}.values())

    @property
    def unix(self) -> tuple[str, ...]:
        """Paths of the sockets on which it listens."""
        return tuple(found.path for found in self._binds if isinstance(found, UnixAddress))

    @property
    def probe_port(self) -> int:
        """Where another system can ask whether it is well; 0: at no port, or it would have to say a PROXY header."""
        return self.tcp[0].port if self.tcp and not self.config.proxy_protocol else 0

    @property
    def why_no_probe(self) -> str:
        """Why there is no such port; empty: there is one."""
        if self.config.proxy_protocol and self.tcp:
            return "--proxy-protocol: who asks would have to say a PROXY header"
        return "" if self.tcp else "--health-check: no port is known"

    @property
    def speaks_http(self) -> bool:
        """Whether what its workers speak is known to be HTTP."""
        return traits_of(self.config).needs_dispatcher

    @property
    def bounds_http(self) -> bool:
        """Whether the settings of HTTP, such as how long an idle connection is kept, are for its workers."""
        return any(fits(found, traits_of(self.config)) for found in declared_settings() if found.name == KEPT)

    @property
    def speaks_tls(self) -> bool:
        """Whether its workers speak TLS."""
        return bool(self.config.ssl_certfile)

    @property
    def stop_seconds(self) -> int:
        """How long its end may take: above kill_timeout, so that what is under way is finished."""
        return whole_seconds(self.config.kill_timeout + STOP_MARGIN_SECONDS)

    @property
    def health(self) -> HealthPlan | None:
        """How its workers are asked whether they are well."""
        return health_plan(self.config)

    @property
    def scaling(self) -> ScalingPlan | None:
        """Between which numbers of workers it is scaled by its load."""
        return scaling_plan(self.config)

    @property
    def _binds(self) -> tuple[BindAddress, ...]:
        return tuple(map(parse_address, effective_bind(self.config)))


def whole_seconds(seconds: float) -> int:
    """Return the least number of whole seconds, from 1 on, that is not below `seconds`."""
    return max(1, math.ceil(seconds))


def comments(lines: Iterable[str]) -> str:
    """Return lines of a comment that begins with #; what would end a line is shown as ?."""
    shown = ("".join(letter if letter.isprintable() else "?" for letter in line) for line in lines)
    return "".join(f"# {line}\n" for line in shown)


def plain(text: str, what: str) -> str:
    """Return `text` if it can stand in a line of a configuration file.

    Raises:
        UsageError: it has characters that end a line; `what` says what it is.
    """
    if not text.isprintable():
        raise UsageError(f"{what} ({text!r}) has characters that cannot stand in a configuration file")
    return text
