"""Owns what the app is told of our end of a connection. Runs in workers, on the event loop's thread.

Asks the kernel only where a listener's own address does not say it.
"""

from fastlb.lb.inbox import HandedSocket

from .wire import ListenerInfo

# (host, port), or (path, None) of a unix socket
LocalAddress = tuple[str, int | None]

WILDCARDS = ("", "0.0.0.0", "::")


class LocalAddresses:
    """The listener's address, or the kernel's answer where that is a wildcard."""

    def __init__(self, listeners: tuple[ListenerInfo, ...]) -> None:
        """Remember what needs no question to the kernel."""
        self._fixed: dict[int, LocalAddress] = {}
        for listener in listeners:
            if listener.family == "unix":
                self._fixed[listener.listener_id] = (listener.host, None)
            elif listener.port and listener.host not in WILDCARDS:
                self._fixed[listener.listener_id] = (listener.host, listener.port)

    def of(self, handed: HandedSocket) -> LocalAddress | None:
        """Return (host, port), or (path, None) for a unix socket; None when the connection is closed."""
        return self._fixed.get(handed.listener_id) or handed.local_address()
