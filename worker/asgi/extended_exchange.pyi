from collections.abc import Awaitable

from fastlb.worker.asgi.exchange import Exchange

class ExtendedExchange(Exchange):
    def send_file(self, path: str) -> Awaitable[None]: ...

def open_at_once(path: str, flags: int) -> int: ...
