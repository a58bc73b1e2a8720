"""Owns that there is always one dispatcher: starts it, watches it, replaces it. Runs in the supervisor.

A dispatcher that died or hangs is replaced by one that is told all that is wanted, on the same listeners, while
workers go on. Its successor is started only after its end is certain, so that two never read the same channels. It
decides nothing about workers.
"""

import asyncio
import errno
import os
import traceback
from collections.abc import Callable, Sequence

from ...lb.command import (
    CommandName,
    DispatcherEvent,
    EventName,
    Policy,
    encode_configure,
    encode_ping,
    encode_quit,
)
from ..errors import StartFailed
from ..output.event_log import EventLog
from ..processes.backoff import grown_delay
from ..processes.descriptor_reserve import DescriptorReserve
from ..processes.reaper import ExitStatus, Reaper, kill_group
from ..processes.spawn import SpawnError
from ..settings.app_config import AppConfig, Balance
from ..sockets.listeners import BoundListener
from ..version import VERSION
from .agreement import Agreement
from .counters import Counters
from .node_lines import NodeLines
from .openings import send_openings
from .process import PING_TIMEOUT, DispatcherProcess, start_dispatcher
from .slots import FreeSlots
from .wanted import WantedState

CONFIGURE_TIMEOUT = 10.0
FIRST_RESPAWN_DELAY = 0.05
# What the start of a dispatcher needs at most at a time: page, two ends, copies of what it inherits.
RESERVED_DESCRIPTORS = 8
# Of commands to a worker that is not there any more.
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ESTALE)
TO_LISTENERS = (CommandName.ADD_LISTENER, CommandName.REMOVE_LISTENER)
TO_NODE_WORKERS = (CommandName.SEND, CommandName.SERVE, CommandName.PROBE)


class DispatcherKeeper:
    """Keeps one dispatcher for the app.

    Args:
        config: for policy and hand-over timeout.
        listeners: borrowed.
        reaper, log: borrowed.

    What a dispatcher says of a worker goes to the `on_event` of its record; a line that a Node worker wrote, when it is
    whole.

    Attributes:
        wanted: what every dispatcher is told; change it here.
        lines: what Node workers are told and say.
        counters: what dispatchers have counted.
        agreement: compares what the dispatcher has with what is wanted.
        slots: the free places in a dispatcher's table.
        problem: why no dispatcher can be had at all, for people; "" if one can.
        on_replaced: called when another dispatcher has been told everything; may be None.
    """

    def __init__(
        self,
        config: AppConfig,
        listeners: Sequence[BoundListener],
        reaper: Reaper,
        log: EventLog,
    ) -> None:
        self.wanted = WantedState(listeners)
        self.lines = NodeLines(self.wanted)
        self.counters = Counters(self.wanted)
        self.agreement = Agreement(self.wanted, self.counters, log)
        self.problem = ""
        self.on_replaced: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._reaper = reaper
        self._log = log
        self.slots = FreeSlots()
        self._reserve = DescriptorReserve(RESERVED_DESCRIPTORS)
        self._dispatcher: DispatcherProcess | None = None
        self._configured: asyncio.Future[None] | None = None
        self._gone = asyncio.Event()
        self._open_questions: dict[asyncio.Future[None], int] = {}  # the token that answers it; 0: not asked yet
        self._respawn: asyncio.TimerHandle | None = None
        self._epoch = 0
        self._failures = 0
        self._is_quitting = False
        self._replaced = 0

    @property
    def is_attentive(self) -> bool:
        """Whether there is a dispatcher, which has answered since the last `check`: it knows who is silent."""
        dispatcher = self._dispatcher
        return dispatcher is not None and dispatcher.is_configured and not dispatcher.answers.is_late

    def report(self) -> dict[str, object]:
        """What `show` says of the dispatcher: its pid (None between two), how often it was replaced, counters."""
        pid = self._dispatcher.process.pid if self._dispatcher else None
        return {"pid": pid, "replaced": self._replaced, **self.counters.totals()}

    async def start(self) -> None:
        """Start the first dispatcher and wait until it is configured.

        Raises:
            StartFailed: it did not come up.
        """
        self._configured = self._loop.create_future()
        try:
            self._spawn()
            async with asyncio.timeout(CONFIGURE_TIMEOUT):
                await self._configured
        except SpawnError as error:
            raise StartFailed(f"the dispatcher did not start: {error.message}") from error
        except TimeoutError as error:
            raise StartFailed(f"the dispatcher did not answer within {CONFIGURE_TIMEOUT:g} s") from error
        finally:
            self._configured = None

    def check(self, elapsed: float) -> None:
        """Ask the dispatcher for a sign of life; kill it when it owes one for too long. `elapsed`: attended seconds."""
        self._reserve.fill()
        dispatcher = self._dispatcher
        if dispatcher is None:
            return
        if dispatcher.answers.is_overdue(elapsed):
            self._log.error("dispatcher_hung", pid=dispatcher.process.pid, timeout=PING_TIMEOUT)
            self.kill()
        elif not dispatcher.is_configured and not dispatcher.link.is_understood:
            self._give_up_stranger(dispatcher)
        else:
            self.agreement.mend()
        token = dispatcher.answers.next_question()
        if token is not None:
            dispatcher.link.send(encode_ping(token))

    def _give_up_stranger(self, dispatcher: DispatcherProcess) -> None:
        """End a dispatcher that does not speak as we do. Another follows: what is installed may change again."""
        name = self._config.name
        self.problem = (
            f"the dispatcher that was started is not of this fastlb ({VERSION}), which was upgraded while the app ran:"
            f" clients wait until `fastlb stop {name}` and `fastlb start {name}`"
        )
        self._log.error("dispatcher_of_another_release", pid=dispatcher.process.pid, reason=self.problem)
        self.kill()

    async def carried_out(self) -> None:
        """Return when a dispatcher has carried out, or rejected, everything that is wanted by now.

        At once for an app that has none.
        """
        if not self._epoch:
            return
        question: asyncio.Future[None] = self._loop.create_future()
        self._open_questions[question] = 0
        try:
            self._ask(question)
            await question
        finally:
            del self._open_questions[question]

    def _ask(self, question: asyncio.Future[None]) -> None:
        """Without a dispatcher, its successor is asked."""
        if self._is_quitting and not question.done():
            question.set_result(None)
        elif self._dispatcher:
            token = self._dispatcher.answers.one_more_question()
            self._open_questions[question] = token
            self._dispatcher.link.send(encode_ping(token))

    def _on_pong(self, dispatcher: DispatcherProcess, token: int) -> None:
        dispatcher.answers.answered(token)
        for question, asked in self._open_questions.items():
            if 0 < asked <= token and not question.done():
                question.set_result(None)

    async def quit(self, timeout: float) -> None:
        """Let the dispatcher hand over what it holds and exit, or kill it after `timeout` seconds; none follows."""
        self._is_quitting = True
        self.wanted.end()
        if self._respawn:
            self._respawn.cancel()
        if self._dispatcher is None:
            return
        self._dispatcher.link.send(encode_quit())
        try:
            async with asyncio.timeout(timeout):
                await self._gone.wait()
        except TimeoutError:
            self.kill()
            await self._gone.wait()

    def kill(self) -> None:
        """End the dispatcher at once, if there is one; unless it was told to quit, another takes its place."""
        if self._dispatcher:
            kill_group(self._dispatcher.process.pid, self._dispatcher.process.pidfd)

    def close(self) -> None:
        """Close what is held for another dispatcher; the present one must have quit. May be called twice."""
        self.wanted.close()
        self._reserve.close()

    def _spawn(self) -> None:
        self._respawn = None
        self._gone.clear()
        self._epoch += 1
        dispatcher = start_dispatcher(self._config.name, self._on_event)
        self._dispatcher = dispatcher
        self._reaper.watch(dispatcher.process.pid, dispatcher.process.pidfd, self._on_exit)
        self.counters.begin(self._epoch, dispatcher.page)
        handover_timeout_ns = int(self._config.handover_timeout * 1e9)
        configure = encode_configure(self._epoch, policy_of(self._config.balance), handover_timeout_ns)
        dispatcher.link.send(configure, (dispatcher.page_fd,))
        send_openings(dispatcher.link, self._config)
        self.wanted.connect(dispatcher.link)
        for question in self._open_questions:
            self._ask(question)
        if self.on_replaced:
            self.on_replaced()

    def _on_event(self, event: DispatcherEvent) -> None:
        """One event that cannot be dealt with must not keep the others, or a successor, from coming."""
        try:
            self._take_event(event)
        except Exception:  # noqa: BLE001 - whatever a worker has made us stumble over
            self._log.error("event_failed", kind=event.name.name, slot=event.slot, traceback=traceback.format_exc())

    def _take_event(self, event: DispatcherEvent) -> None:
        dispatcher = self._dispatcher
        if dispatcher is None:
            return
        match event.name:
            case EventName.CONFIGURED:
                self._on_configured(dispatcher, event.epoch)
            case EventName.PONG:
                self._on_pong(dispatcher, event.ping_token)
            case EventName.LISTENER_ERROR:
                reason = os.strerror(event.error)
                self._log.warning("accept_failed", listener=event.listener_id, reason=reason, errors=event.failures)
            case EventName.REJECTED if event.error in GONE and event.command in TO_NODE_WORKERS:
                pass  # it died, or closed its channel, before it could be told
            case EventName.REJECTED if event.command == CommandName.CONFIGURE:
                self._give_up_stranger(dispatcher)
            case EventName.REJECTED:
                reason = os.strerror(event.error)
                is_listener = event.command in TO_LISTENERS
                about = {"listener": event.listener_id} if is_listener else {"slot": event.slot}
                self._log.error("command_rejected", **about, kind=event.command, reason=reason)
            case EventName.WORKER_MESSAGE:
                whole = self.lines.join(event)
                if whole:
                    self.wanted.deliver(whole)
            case _:
                self.wanted.deliver(event)

    def _on_configured(self, dispatcher: DispatcherProcess, epoch: int) -> None:
        dispatcher.is_configured, self._failures = True, 0
        self.problem = ""
        self._log.info("dispatcher_ready", pid=dispatcher.process.pid, epoch=epoch)
        if self._configured and not self._configured.done():
            self._configured.set_result(None)

    def _on_exit(self, status: ExitStatus) -> None:
        if self._dispatcher:
            self._dispatcher.link.take_last_words()
        dispatcher, self._dispatcher = self._dispatcher, None
        assert dispatcher is not None
        self.wanted.disconnect(dispatcher.page)
        self.lines.forget_parts()
        self.counters.end()
        dispatcher.close()
        self._gone.set()
        for question in self._open_questions:
            self._open_questions[question] = 0
        if self._is_quitting:
            for question in self._open_questions:
                self._ask(question)
            return
        self._log.error("dispatcher_died", pid=dispatcher.process.pid, reason=status)
        if self._configured and not self._configured.done():
            self._configured.set_exception(StartFailed(f"the dispatcher {status} before it was ready"))
            return
        self._replace_after(0.0 if dispatcher.is_configured else self._next_delay())

    def _replace_after(self, delay: float) -> None:
        self._replaced += 1
        self._respawn = self._loop.call_later(delay, self._replace)

    def _next_delay(self) -> float:
        self._failures += 1
        return grown_delay(FIRST_RESPAWN_DELAY, self._failures)

    def _replace(self) -> None:
        """Start another dispatcher; whatever keeps it from coming now must not keep it from coming later."""
        try:
            with self._reserve.given_up():
                self._spawn()
        except Exception as error:  # noqa: BLE001 - without a dispatcher nobody is served
            self._log.error("dispatcher_not_started", reason=error)
            if self._dispatcher:
                self.kill()  # it has not been told everything: its end brings another
            else:
                self._respawn = self._loop.call_later(self._next_delay(), self._replace)


def policy_of(balance: Balance) -> Policy:
    """Return the dispatcher's name for a policy: `round-robin` is ROUND_ROBIN."""
    return Policy[balance.replace("-", "_").upper()]
