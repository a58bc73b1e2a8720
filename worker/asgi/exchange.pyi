import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastlb.lb.inbox import HandedSocket
from fastlb.lb.page import WorkerStatus
from fastlb.worker.access_log.access_log import AccessLog

from ..http.connection import HttpService
from ..http.response import Response, ServerLines
from ..timeout_wheel import TimeoutWheel
from ..wire import WorkerConfig

class Done: ...

class AsgiService(HttpService):
    go_on: Callable[[HandedSocket, asyncio.BaseProtocol], None]
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wheel: TimeoutWheel,
        worker: WorkerConfig,
        lines: ServerLines,
        server: uvicorn.Server,
        status: WorkerStatus,
        websocket_tasks: set[asyncio.Task[Any]],
        access_log: AccessLog | None,
    ) -> None: ...
    def oldest_began_ns(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[asyncio.Task[Any]]: ...

class Exchange(Response): ...
