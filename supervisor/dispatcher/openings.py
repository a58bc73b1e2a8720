"""Owns what a dispatcher is told of the begin of connections: who sends a PROXY header. Runs in the supervisor."""

from ...lb.command import encode_expect_proxy
from ..settings.app_config import AppConfig
from ..settings.networks import parse_networks
from .link import DispatcherLink

# For a whole header, from the accept on. It is in the first packet, which TCP sends again after a second at most.
PROXY_TIMEOUT_NS = 3_000_000_000


def send_openings(link: DispatcherLink, config: AppConfig) -> None:
    """Tell a new dispatcher, before it has a listener, what comes first on every connection of the app."""
    if config.proxy_protocol:
        link.send(encode_expect_proxy(PROXY_TIMEOUT_NS, *parse_networks(config.proxy_allow_ips)))
