"""Owns what connects the supervisor with one fork-mode process: its life, its channel, its standard input.

Runs in the supervisor process. Nobody hands such a process connections, so there is nothing to admit or to take back.
"""

import asyncio
import os
import re
import select
import socket
from dataclasses import dataclass
from functools import partial

from ..actions.call import ActionCall, ActionOutcome
from ..errors import FastlbError
from ..processes.reaper import ExitStatus, send_signal
from ..readiness.port import PortWatch, connect_to, connect_to_port
from ..settings.readiness import proof_of
from ..workers.handle import WorkerHandle
from ..workers.life import LetExit, LifeEvent, LifeEventName, SendShutdown
from ..workers.notices import TAKEN_BACK
from ..workers.runtime import RuntimeParts, StartedProcess, WorkDone
from .channel import READY, ProgramChannel

SHUTDOWN = "shutdown"
LONGEST_LINE = select.PIPE_BUF
# As the C library says it, which nearly all languages do, or by name, as Node.
PORT_IN_USE = re.compile(r"address already in use|EADDRINUSE", re.IGNORECASE)


@dataclass(frozen=True)
class ProgramEnds:
    """Our ends of what a process was started with.

    Attributes:
        stdin_fd: behind its standard input.
        channel: of its IPC channel; None: it has none.
        port: on which it is to listen; None: nobody needs to know, or the listeners are ours.
    """

    stdin_fd: int
    channel: socket.socket | None
    port: int | None = None


class ForkLink:
    """What connects us with one process. Owns our ends until `close`.

    Args:
        worker: whose process it is.
        parts: what the runtime works with.
        ends: taken over.
        started: the process.
    """

    impediment = ""

    def __init__(self, worker: WorkerHandle, parts: RuntimeParts, ends: ProgramEnds, started: StartedProcess) -> None:
        self._worker = worker
        self._parts = parts
        self._config = parts.config
        self._pidfd = started.process.pidfd
        self._stdin_fd = ends.stdin_fd
        self._channel = ProgramChannel(ends.channel, self._on_word) if ends.channel else None
        # It is told to end as soon as it is drained, and has kill_timeout from then on.
        worker.apply(LifeEventName.PRELOADED)
        self._living: asyncio.TimerHandle | None = None
        self._port_watch: PortWatch | None = None
        self._port = ends.port
        self._await_proof(ends.port)

    def _await_proof(self, port: int | None) -> None:
        """Whether it works cannot be seen; that it has lived for a while can, and whether its port answers."""
        proof = proof_of(self._config, self._parts.traits)
        is_serving = partial(self._worker.apply, LifeEventName.SERVING)
        if proof == "port" and port is not None:
            self._port_watch = PortWatch(port, is_serving)
            return
        patience = {"settle": self._config.settle, "uptime": self._config.min_uptime}.get(proof, 0.0)
        self._living = asyncio.get_running_loop().call_later(patience, is_serving)

    def explain(self, status: ExitStatus, error_output: str) -> str:
        """Return why a program may have ended that was to go on: its port is in use, or it is none that goes on."""
        if status.code == 0 and self._config.autorestart:
            return "if that is its work, --no-autorestart makes it a job"
        if status.code == 0 or not PORT_IN_USE.search(error_output):
            return ""
        has_own_port = self._config.increment_var or self._parts.listeners
        if has_own_port or self._parts.target_workers() == 1:
            return "its port is in use (`ss -ltnp` tells by whom)"
        return (
            "its port is in use, and processes of fork mode cannot share one: --increment-var PORT gives each a port of"
            " its own, and cluster mode has all workers of a Python or Node app behind one"
        )

    def admit(self) -> None:
        """Do nothing: it serves already."""

    def withdraw(self) -> None:
        """Do nothing: who connects to it is not our choice."""

    async def admitted(self) -> None:
        """Return at once: it serves already."""

    def drain(self, *, by_itself: bool, quietly: bool) -> None:
        """Say that it gets nothing, and so has nothing left but to be told to end."""
        self._worker.apply(LifeEventName.DRAINED)
        if quietly:
            by_message = self._config.shutdown_with_message
            self._worker.apply(LifeEventName.MESSAGE_CHOSEN if by_message else LifeEventName.SIGNAL_CHOSEN)
            self._worker.apply(LifeEventName.IDLE)

    def end_with_app(self) -> None:
        """Do nothing: it is told to end at once, whatever the reason."""

    def tell_app(self, what: SendShutdown | LetExit) -> None:
        """Send it PM2's message, or the signal if the message cannot reach it."""
        if isinstance(what, SendShutdown) and not (self._channel and self._channel.send(SHUTDOWN)):
            send_signal(self._pidfd, self._config.kill_signal)

    is_at_capacity = False

    def note_check_answered(self) -> None:
        """Do nothing: nobody counts its requests."""

    async def connect_for_check(self) -> socket.socket:
        """Connect as a client does, to its own port, or to the first of our listeners: then any process may answer.

        Raises:
            OSError: nobody answers there.
        """
        if self._port is not None:
            return await connect_to_port(self._port)
        return await connect_to(self._parts.listeners[0].info)

    def write_line(self, line: bytes) -> None:
        """Write a whole line to its standard input, or nothing.

        Raises:
            FastlbError: the line is too long, or the process does not read.
        """
        if len(line) > LONGEST_LINE:
            raise FastlbError(f"cannot be sent so long a line: at most {LONGEST_LINE} bytes")
        try:
            # So short a write to a pipe is all or nothing: pipe(7).
            os.write(self._stdin_fd, line)
        except BlockingIOError:
            raise FastlbError("does not read its standard input, which is full") from None
        except OSError as error:
            raise FastlbError(f"has closed its standard input ({error.strerror})") from error

    async def run_action(self, call: ActionCall) -> ActionOutcome:
        """Refuse it.

        Raises:
            FastlbError: always; nothing of ours is in the process that could do it.
        """
        raise FastlbError("runs in fork mode, where there are no actions: `fastlb send` and `fastlb signal` reach it")

    def work_done(self) -> WorkDone:
        """Return that nothing is known."""
        return WorkDone(0, None, 0)

    def pulse(self) -> None:
        """Return that nothing is known."""

    def look(self, elapsed: float) -> None:
        """Look for nothing."""

    def take_last_words(self) -> None:
        """Read what a process that has exited left behind."""
        self._stop_waiting()
        if self._channel:
            self._channel.take_last_words()

    def close(self) -> None:
        """Forget the process, which must have been reaped, and close what we hold of it."""
        self._stop_waiting()
        os.close(self._stdin_fd)
        if self._channel:
            self._channel.close()

    def _stop_waiting(self) -> None:
        if self._living:
            self._living.cancel()
        if self._port_watch:
            self._port_watch.close()

    def _on_word(self, word: str) -> None:
        self._worker.apply(
            LifeEventName.READY_SAID if word == READY else LifeEvent(LifeEventName.UNREADY_SAID, TAKEN_BACK)
        )
