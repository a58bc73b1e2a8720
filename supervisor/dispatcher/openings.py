"""Owns what a dispatcher is told of the begin of connections: who sends a PROXY header. Runs in the supervisor."""

from ...lb.command import encode_expect_opening
from ..settings.app_config import AppConfig
from ..settings.networks import parse_networks
from .link import DispatcherLink

# For a whole header, from the accept on. It is in the first packet, which TCP sends again after a second at most.
PROXY_TIMEOUT_NS = 3_000_000_000
# For the head of a first request. A proxy sends it with the connection; a browser that connects beforehand does not.
HEAD_TIMEOUT_NS = 100_000_000


def send_openings(link: DispatcherLink, config: AppConfig) -> None:
    """Tell a new dispatcher, before it has a listener, what comes first on every connection of the app."""
    is_sticky = config.balance == "sticky"
    if not config.proxy_protocol and not is_sticky:
        return
    proxies = parse_networks(config.proxy_allow_ips)
    link.send(
        encode_expect_opening(
            PROXY_TIMEOUT_NS if config.proxy_protocol else 0,
            proxies.networks,
            proxies.unix_peers,
            HEAD_TIMEOUT_NS if is_sticky else 0,
            config.sticky_cookie.encode(),
        )
    )
