import asyncio
from collections.abc import Callable
from typing import Any

from fastlb.lb.inbox import HandedSocket
from fastlb.lb.page import WorkerStatus

from ..access_log.access_log import AccessLog
from ..http.connection import HttpService
from ..http.response import ServerLines
from ..timeout_wheel import TimeoutWheel
from ..wire import WorkerConfig
from .body_spool import BodyWriter
from .crew import Crew
from .environ import WsgiApp

class WsgiService(HttpService):
    loop: asyncio.AbstractEventLoop
    connections: set[Any]
    threads: Crew
    adopt: Callable[[HandedSocket, Any], object]
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
