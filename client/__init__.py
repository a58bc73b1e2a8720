"""fastlb.client: what the command does, for programs in Python: synchronous (Client) and for asyncio (AsyncClient).

It runs in the program that imports it. What it does is done by the command's own code, so it says and raises the same.
"""

from ..cli.log_view.records import Record as LogLine
from ..cli.operations import Answer
from ..supervisor.control.progress import Progress
from ..supervisor.control.protocol import AppDetails, AppEntry, AppMetrics, WorkerAnswer, WorkerEntry
from ..supervisor.errors import FastlbError
from ..supervisor.output.event_record import Event
from .asynchronous import AsyncClient, AsyncOperation, AsyncStream
from .streams import Operation, Stream
from .synchronous import Client

__all__ = [
    "Answer",
    "AppDetails",
    "AppEntry",
    "AppMetrics",
    "AsyncClient",
    "AsyncOperation",
    "AsyncStream",
    "Client",
    "Event",
    "FastlbError",
    "LogLine",
    "Operation",
    "Progress",
    "Stream",
    "WorkerAnswer",
    "WorkerEntry",
]
