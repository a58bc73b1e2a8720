"""Owns what connects the supervisor with one worker of our own: both channels, and its status page.

Runs in the supervisor process. Both ends of the connection channel are held as well as lent to the dispatcher: so
a dispatcher that dies takes no connection with it that a worker has not taken yet.
"""

import asyncio
import os
import socket
from dataclasses import dataclass

from ...lb.command import DispatcherEvent, EventName
from ...lb.page import WorkerPageView
from ...worker.wire import ExitHandled, Serving, StartupFailed, WorkerConfig
from ..actions.call import ActionCall, ActionOutcome
from ..dispatcher.wanted import DispatchedWorker
from ..errors import FastlbError
from ..processes.resource_limits import MOST_DESCRIPTORS, descriptor_limit
from ..settings.declared import without_effect
from ..sockets.pair import connection_pair
from ..workers.bounds import worker_bounds
from ..workers.dispatched import DispatchedLink
from ..workers.handle import WorkerHandle
from ..workers.life import LetExit, LifeEvent, LifeEventName, SendShutdown
from ..workers.notices import TAKEN_BACK
from ..workers.runtime import Pulse, RuntimeParts, StartedProcess, WorkDone
from .action_channel import ActionChannel
from .channel import ChannelClosed, ReadySaid, UnreadySaid, WorkerChannel, WorkerMessage
from .claims import ClaimWatch, impediment_in
from .exit_news import ExitNews


@dataclass(frozen=True)
class PythonChannels:
    """All channels of one process: ours, and its own (`worker_...`), and its place in the dispatcher's table.

    `worker_end` is both: the process inherits one, and we keep it to take connections back. By `wakeup_fd`, an eventfd,
    the process wakes the dispatcher. That its end of the lifeline is open tells the process that
    we live; by it a thread of it is asked for actions.
    """

    slot: int
    lifecycle: socket.socket
    worker_lifecycle: socket.socket
    dispatcher_end: socket.socket
    worker_end: socket.socket
    page_fd: int
    wakeup_fd: int
    lifeline: socket.socket
    worker_lifeline_fd: int


class PythonLink(DispatchedLink):
    """What connects us with one such process. Owns our ends of the channels, and the page, until `close`.

    Args:
        worker: whose process it is.
        parts: what the runtime works with.
        channels: which of them is ours is taken over.
        started: the process.
        exit_news: tells other workers of its end, and it of theirs.
    """

    def __init__(
        self,
        worker: WorkerHandle,
        parts: RuntimeParts,
        channels: PythonChannels,
        started: StartedProcess,
        exit_news: ExitNews,
    ) -> None:
        super().__init__(worker, parts, channels.slot, started)
        self._exit_news = exit_news
        self._parts = parts
        self._channels = channels
        self._page = WorkerPageView(channels.page_fd)
        self._claims = ClaimWatch()
        self._checks = 0  # requests of ours, which its page counts
        self._capacity = 0  # most busy connections, by its own report; 0: unbounded
        self._lifecycle = WorkerChannel(asyncio.get_running_loop(), channels.lifecycle, self._on_message)
        self._actions = ActionChannel(asyncio.get_running_loop(), channels.lifeline)

    def send_config(self, config: WorkerConfig) -> None:
        """Send the process its settings, for which it waits."""
        self._lifecycle.send_config(config)

    def admit(self) -> None:
        """Bring the process into the dispatcher's policy."""
        if self.keeper.wanted.worker_in(self.slot) is None:
            self._make_known()
        self.keeper.wanted.admit(self.slot)

    def _make_known(self) -> None:
        workers = self._parts.target_workers()
        bounds = worker_bounds(self._parts.config, self._parts.traits, workers, self._capacity, descriptor_limit())
        self.keeper.wanted.add(
            DispatchedWorker(
                slot=self.slot,
                incarnation=self.started.number,
                bounds=bounds,
                hash_key=self.worker.worker_id,
                fds=self._dispatcher_fds,
                on_event=self.on_event,
            )
        )

    def drain(self, *, by_itself: bool, quietly: bool) -> None:
        """Take the process out of the policy and let it read the end of its channel."""
        if self.keeper.wanted.knows(self.slot):
            self.keeper.wanted.drain(self.slot)
        else:
            self._end_connections()

    def end_with_app(self) -> None:
        """Tell the process that the whole app ends: its drain then waits for no client that asks nothing."""
        self._lifecycle.say_app_ends()

    def tell_app(self, what: SendShutdown | LetExit) -> None:
        """Do nothing: it hears the end of its channel."""

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.started.process.pid

    @property
    def rank(self) -> int:
        """Its generation while it is to stay; 0: it is not told of the end of others any more."""
        return 0 if self.worker.life.is_leaving or not self.worker.is_alive else self.worker.generation

    def say_exited(self, pid: int) -> None:
        """Tell the process that another one has ended, for the app's hooks."""
        self._lifecycle.say_exited(pid)

    async def connect_for_check(self) -> socket.socket:
        """Return our end of a connection that the process is handed on its lifecycle channel.

        Raises:
            FastlbError: it does not read that.
            OSError: no descriptors are left.
        """
        client, theirs = connection_pair()
        with theirs:
            port = client.getsockname()[1] if client.family == socket.AF_INET else 0
            if self._lifecycle.hand_over(theirs, port):
                return client
        client.close()
        raise FastlbError("it does not read its channel to the supervisor")

    async def run_action(self, call: ActionCall) -> ActionOutcome:
        """Have the process do it, by a thread of its own: its event loop may be blocked."""
        return await self._actions.run(call)

    def note_check_answered(self) -> None:
        """Count a request less."""
        self._checks += 1

    @property
    def is_at_capacity(self) -> bool:
        """Whether all its threads run, or it has as many connections or requests as `limit_concurrency` allows."""
        page, limit = self._page.read(), self._parts.config.limit_concurrency
        is_limited = bool(limit) and max(page["open"], page["busy"]) >= limit
        return is_limited or (self._capacity > 0 and page["busy"] >= self._capacity)

    def work_done(self) -> WorkDone:
        """Return what its page says; connections that lie in its channel count as well."""
        page = self._page.read()
        untaken = self.keeper.counters.untaken(self.slot, page["position"])
        requests = max(page["requests"] - self._checks, 0)
        busy_share = min(page["busy"] / self._capacity, 1.0) if self._capacity else None
        return WorkDone(
            connections=page["open"] + untaken,
            requests=requests,
            errors=page["errors"],
            latency_us=self._page.latency_us(),
            busy_share=busy_share,
            latency_sum_us=page["latency_sum_us"],
            untaken=untaken,
            busy=page["busy"],
            loop_lag_ns=max(page["loop_lag_ns"], 0),
            oldest_request_ns=max(page["oldest_request_ns"], 0),
            responses=self._page.responses(),
        )

    def pulse(self) -> Pulse:
        """Return what its page says."""
        page = self._page.read()
        return Pulse(page["heartbeat_ns"], page["oldest_request_ns"])

    @property
    def impediment(self) -> str:
        """What has stood on its page for a while."""
        return self._claims.impediment

    def look(self, elapsed: float) -> None:
        """Look at its page."""
        page = self._page.read()
        new = self._claims.look(impediment_in(page, MOST_DESCRIPTORS), elapsed)
        if new:
            pid = self.started.process.pid
            self._log.warning("worker_impeded", worker_id=self.worker.worker_id, pid=pid, reason=new)

    def take_last_words(self) -> None:
        """Read what a process that has exited left behind."""
        self._lifecycle.take_last_words()

    def close(self) -> None:
        """Forget the process, which must have been reaped, and close what we hold of it."""
        self.leave_dispatcher()
        self._lifecycle.close()
        self._channels.dispatcher_end.close()
        self._channels.worker_end.close()
        os.close(self._channels.page_fd)
        os.close(self._channels.wakeup_fd)
        self._actions.close()
        self._exit_news.end(self)

    def on_particular_event(self, event: DispatcherEvent) -> None:
        """Take the end of the connection channel: the process closes it when something is wrong, or at its end."""
        if event.name is EventName.CHANNEL_CLOSED:
            self.worker.apply(LifeEvent(LifeEventName.CHANNEL_CLOSED, "closed its connection channel"))

    @property
    def _dispatcher_fds(self) -> tuple[int, ...]:
        """Borrowed, in the order of ADD_WORKER."""
        pidfd = self.started.process.pidfd
        ends = self._channels.dispatcher_end.fileno(), self._channels.worker_end.fileno()
        return *ends, pidfd, self._channels.page_fd, self._channels.wakeup_fd

    def _remark_without_effect(self, interface: str) -> None:
        if options := without_effect(self._parts.config, interface):
            target, an_app = self._parts.config.target, "an ASGI app" if interface == "asgi" else "a WSGI app"
            self._parts.remark(f"{', '.join(options)}: without effect, as {target} is {an_app}")

    def _end_connections(self) -> None:
        """Tell the process itself that no more connections come; for when no dispatcher does."""
        try:
            self._channels.dispatcher_end.shutdown(socket.SHUT_WR)
        except OSError:
            return  # its other end is closed: it knows

    def _on_message(self, message: WorkerMessage) -> None:
        match message:
            case Serving():
                self._capacity = message.capacity
                self._remark_without_effect(message.interface)
                self.worker.apply(LifeEventName.SERVING)
                self._exit_news.begin(self)
            case ExitHandled(pid):
                self._exit_news.handled(self, pid)
            case ReadySaid():
                self.worker.apply(LifeEventName.READY_SAID)
            case UnreadySaid():
                self.worker.apply(LifeEvent(LifeEventName.UNREADY_SAID, TAKEN_BACK))
            case StartupFailed(reason, details, is_usage):
                self.worker.apply(LifeEvent(LifeEventName.STARTUP_FAILED, reason, details, is_usage))
            case ChannelClosed(reason):
                self.worker.apply(LifeEvent(LifeEventName.CHANNEL_CLOSED, reason))
