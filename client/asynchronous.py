"""Owns AsyncClient: what Client does, for asyncio. Runs in the user's program, on any event loop.

The work is done by Client in threads: the loop is never held. Whoever waits for an item may be cancelled.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

from ..cli.log_view.records import Record
from ..cli.log_view.records import Stream as OutputStream
from ..supervisor.control.progress import Progress
from ..supervisor.control.protocol import AppDetails, AppEntry, AppMetrics
from ..supervisor.output.event_record import Event
from .streams import Operation, Stream
from .synchronous import DEFAULT_EVENTS, DEFAULT_LINES, STREAMS, Answers, Client, Place, WorkerAnswers

Item = TypeVar("Item")
_END = object()


class AsyncStream(Generic[Item]):
    """As Stream, for `async for` and `async with`. Owns a thread while it is read."""

    def __init__(self, stream: Stream[Item]) -> None:
        self._stream = stream
        self._thread = ThreadPoolExecutor(1, "fastlb-client")
        self._is_over = False

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        """Wait for the next one. Whoever is cancelled meanwhile has closed it.

        Raises:
            FastlbError: what the command would say.
        """
        if self._is_over:
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        try:
            item = await loop.run_in_executor(self._thread, next, self._stream, _END)
        except BaseException:
            await self.aclose()
            raise
        if item is _END:
            await self.aclose()
            raise StopAsyncIteration
        return cast(Item, item)

    async def aclose(self) -> None:
        """Want no more, and return when nothing is held any more. May be called twice."""
        self._is_over = True
        self._stream.close()
        await asyncio.to_thread(self._thread.shutdown)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.aclose()


class AsyncOperation(AsyncStream[Progress]):
    """As Operation."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(operation)
        self._operation = operation

    async def wait(self) -> str:
        """Wait for its end, and return the sentence that the command would print.

        Raises:
            FastlbError: it failed.
        """
        async for _ in self:
            pass
        return self._operation.text


class AsyncClient:
    """As Client; what it says of arguments and errors holds here."""

    def __init__(self, home: Place | None = None) -> None:
        self._client = Client(home)

    async def list(self, *names: str) -> list[AppEntry]:
        """As Client.list."""
        return await asyncio.to_thread(self._client.list, *names)

    async def show(self, name: str) -> AppDetails:
        """As Client.show."""
        return await asyncio.to_thread(self._client.show, name)

    async def metrics(self, name: str) -> AppMetrics:
        """As Client.metrics."""
        return await asyncio.to_thread(self._client.metrics, name)

    async def start(
        self, target: str, *options: str, cwd: Place | None = None, env: Mapping[str, str] | None = None
    ) -> Answers:
        """As Client.start."""
        return await asyncio.to_thread(self._client.start, target, *options, cwd=cwd, env=env)

    async def stop(self, name: str, *, force: bool = False) -> str:
        """As Client.stop."""
        return await asyncio.to_thread(self._client.stop, name, force=force)

    async def delete(self, name: str) -> str:
        """As Client.delete."""
        return await asyncio.to_thread(self._client.delete, name)

    async def reload(self, name: str, *, parallel: int | None = None) -> AsyncOperation:
        """As Client.reload: returns when it has begun."""
        return AsyncOperation(await asyncio.to_thread(self._client.reload, name, parallel=parallel))

    async def restart(self, name: str) -> AsyncOperation:
        """As Client.restart: returns when it has begun."""
        return AsyncOperation(await asyncio.to_thread(self._client.restart, name))

    async def scale(self, name: str, workers: int | str) -> AsyncOperation:
        """As Client.scale: returns when it has begun."""
        return AsyncOperation(await asyncio.to_thread(self._client.scale, name, workers))

    async def trigger(
        self, name: str, action: str, param: str | None = None, *, worker: int | None = None, timeout: float = 30.0
    ) -> WorkerAnswers:
        """As Client.trigger."""
        return await asyncio.to_thread(self._client.trigger, name, action, param, worker=worker, timeout=timeout)

    async def logs(
        self,
        name: str,
        *,
        lines: int | None = DEFAULT_LINES,
        follow: bool = False,
        streams: Sequence[OutputStream] = STREAMS,
    ) -> AsyncStream[Record]:
        """As Client.logs."""
        found = await asyncio.to_thread(self._client.logs, name, lines=lines, follow=follow, streams=streams)
        return AsyncStream(found)

    async def events(self, *names: str, lines: int = DEFAULT_EVENTS, follow: bool = False) -> AsyncStream[Event]:
        """As Client.events."""
        return AsyncStream(await asyncio.to_thread(self._client.events, *names, lines=lines, follow=follow))
