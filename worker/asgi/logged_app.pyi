from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastlb.worker.access_log.access_log import AccessLog

class LoggedApp:
    def __init__(self, app: Any, log: AccessLog) -> None: ...
    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> Awaitable[Any]: ...

def serve_logged(app: Any, response: LoggedResponse, receive: Callable[[], Awaitable[Any]]) -> Awaitable[Any]: ...

class LoggedResponse:
    def __init__(
        self, scope: MutableMapping[str, Any], send: Callable[[Any], Awaitable[None]], log: AccessLog
    ) -> None: ...
    def send(self, message: MutableMapping[str, Any]) -> Awaitable[None]: ...
    async def send_body(self, message: MutableMapping[str, Any]) -> None: ...
