"""Owns what the app is told of our end of a connection. Runs in WSGI workers, in the event loop's thread."""

from fastlb.lb.inbox import HandedSocket

from .wire import ListenerInfo

WILDCARDS = ("", "0.0.0.0", "::")


class LocalAddresses:
    """The listener's address, or the kernel's answer where that is a wildcard."""

    def __init__(self, listeners: tuple[ListenerInfo, ...]) -> None:
        """Remember what needs no question to the kernel."""
        self._fixed = {
            listener.listener_id: None if listener.family == "unix" else (listener.host, listener.port)
            for listener in listeners
            if listener.family == "unix" or (listener.port and listener.host not in WILDCARDS)
        }

    def of(self, handed: HandedSocket) -> tuple[str, int] | None:
        """Return (host, port); None for a unix socket."""
        if handed.listener_id in self._fixed:
            return self._fixed[handed.listener_id]
        host, port = handed.local_address() or ("", None)
        return None if port is None else (host, port)
