from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

class ProxiedApp:
    def __init__(self, app: Any, reading: Any) -> None: ...
    def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> Awaitable[Any]: ...
