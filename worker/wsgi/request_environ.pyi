from typing import Any

from .trusted_proxies import TrustedProxies

class EnvironMaker:
    def __init__(self, base: dict[str, Any], proxies: TrustedProxies | None) -> None: ...
