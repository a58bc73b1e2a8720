import asyncio
from collections.abc import Callable
from typing import Any

from fastlb.lb.page import WorkerStatus

from ..access_log.access_log import AccessLog
from ..http.connection import HttpService
from ..http.response import ServerLines
from ..timeout_wheel import TimeoutWheel
from ..wire import WorkerConfig
from .app_threads import AppThreads
from .body_spool import BodyWriter
from .environ import WsgiApp

class WsgiService(HttpService):
    loop: asyncio.AbstractEventLoop
    connections: set[Any]
    threads: AppThreads
    body_writer: BodyWriter
    unfinished: int
    impatient_until: float
    on_less: Callable[[], object]
    def __init__(
        self,
        app: WsgiApp,
        loop: asyncio.AbstractEventLoop,
        wheel: TimeoutWheel,
        config: WorkerConfig,
        lines: ServerLines,
        status: WorkerStatus,
        access_log: AccessLog | None,
    ) -> None: ...

class WsgiExchange: ...
