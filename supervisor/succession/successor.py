"""Owns the start of the supervisor that is to take our place, and the conversation with it. Runs in the supervisor
process.

It is started by us and not by the command, so that it has what we have: cgroup, limits, directory, streams. It serves
on our listeners beside us; when all its workers do, it says that it is ready, is told to take over, and says that it
has. Until then nothing of ours is touched, and if it fails we go on.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import msgspec

from ..control.progress import Progress
from ..errors import FastlbError, StartFailed
from ..launch.messages import (
    TAKE_OVER,
    FailedReport,
    LaunchReport,
    LaunchRequest,
    ProgressReport,
    ReadyReport,
    StartedReport,
    Succession,
    request_file,
)
from ..processes.environment import SYSTEMD_VARIABLES
from ..processes.oom_score import base_of
from ..processes.reaper import ExitStatus, Reaper, kill_group
from ..processes.spawn import SpawnedProcess, SpawnPlan, spawn
from ..service.manager import NOTIFY_VARIABLE, WATCHDOG_INTERVAL
from ..settings.app_config import AppConfig
from .estate import new_estate, write_estate
from .tenure import Tenure, handed

REQUEST_FD, REPORT_FD, LOCK_FD, FIRST_LISTENER_FD = 3, 4, 5, 6
LONGEST_REPORT_BYTES = 1 << 20
PATIENCE = 10.0  # with one that gives up: it ends its workers


@dataclass(frozen=True)
class Bequest:
    """What a successor is to have of a running app.

    Attributes:
        config: the settings of its workers.
        environment: what these inherit.
        next_number: of incarnations; its own are far above.
        worker_oom_score: of our workers; None: as it is.
        stopped: numbers of workers that were stopped alone.
    """

    config: AppConfig
    environment: Mapping[str, str]
    next_number: int
    worker_oom_score: int | None = None
    stopped: Collection[int] = ()


class Successor:
    """A supervisor that was started to take our place. `close` ends it unless it has taken over."""

    def __init__(self, process: SpawnedProcess, reports: socket.socket, estate_fd: int, reaper: Reaper) -> None:
        self.pid = process.pid
        self._estate_fd = estate_fd
        self._process = process
        self._reports = reports
        self._was_told = False
        self._has_taken_over = False
        self._exited = asyncio.Event()
        self._buffer = b""
        reports.setblocking(False)
        reaper.watch(process.pid, process.pidfd, self._on_exit)

    async def until_ready(self, on_progress: Callable[[Progress], None]) -> ReadyReport:
        """Return when all its workers serve.

        Raises:
            StartFailed: it says why.
        """
        while True:
            match await self._report():
                case ProgressReport(text, admitted, workers):
                    on_progress(Progress(text, admitted, workers))
                case ReadyReport() as ready:
                    return ready
                case FailedReport(message, details, exit_code):
                    raise StartFailed(message, details=details, exit_code=exit_code)
                case StartedReport():
                    raise StartFailed("it cannot take over from another one: it is too old")

    def leave(self, parts: Mapping[str, bytes]) -> None:
        """Leave it what is known here, which it reads when it takes over; as `write_estate`.

        Raises:
            FastlbError: it does not fit.
        """
        write_estate(self._estate_fd, parts)

    async def take_over(self) -> StartedReport:
        """Have it take over; return what it says when it has.

        Raises:
            StartFailed: it has not.
        """
        self._was_told = True
        await asyncio.get_running_loop().sock_sendall(self._reports, TAKE_OVER)
        match await self._report():
            case StartedReport() as started:
                self._has_taken_over = True
                return started
            case FailedReport(message, details, exit_code):
                raise StartFailed(message, details=details, exit_code=exit_code)
            case other:
                raise StartFailed(f"it did not say that it has taken over, but {other!r}")

    async def hang_up(self) -> None:
        """Have it give up. One that was told to take over, and has not said that it has, is gone when this returns.

        The other has touched nothing of ours, and ends what it has; `close` waits for it.
        """
        self._reports.close()
        if self._estate_fd >= 0:
            os.close(self._estate_fd)
            self._estate_fd = -1
        if self._was_told and not self._has_taken_over:
            await self._end()

    async def close(self) -> None:
        """Hang up: one that has not taken over gives up, and is waited for."""
        await self.hang_up()
        if not self._has_taken_over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._exited.wait()
            await self._end()

    async def _end(self) -> None:
        if not self._exited.is_set():
            kill_group(self.pid, self._process.pidfd)
            await self._exited.wait()

    async def _report(self) -> LaunchReport:
        loop = asyncio.get_running_loop()
        while b"\n" not in self._buffer:
            try:
                chunk = await loop.sock_recv(self._reports, 65536)
            except ConnectionError:
                chunk = b""
            if not chunk or len(self._buffer) > LONGEST_REPORT_BYTES:
                return FailedReport(message="the new supervisor died without a word: see the log of the app")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            report: LaunchReport = msgspec.json.decode(line, type=LaunchReport)
        except msgspec.DecodeError as error:
            return FailedReport(message=f"the new supervisor speaks in words that are not known here: {error}")
        return report

    def _on_exit(self, _: ExitStatus) -> None:
        os.close(self._process.pidfd)
        self._exited.set()


def start_successor(tenure: Tenure, bequest: Bequest, python: str, reaper: Reaper) -> Successor:
    """Start a supervisor for the app that we run, of the fastlb that the interpreter `python` has.

    Raises:
        FastlbError: there is no such interpreter, or no process came to be.
    """
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as if_failed, theirs:
        if_failed.enter_context(ours)
        estate_fd = new_estate()
        if_failed.callback(os.close, estate_fd)
        request_fd = request_file(_request(tenure, bequest))
        try:
            numbers = {REQUEST_FD: request_fd, REPORT_FD: theirs.fileno(), LOCK_FD: tenure.lock.fileno()}
            numbers |= {FIRST_LISTENER_FD + at: bound.socket.fileno() for at, bound in enumerate(tenure.given)}
            numbers[_estate_number(tenure)] = estate_fd
            command = [python, "-P", "-m", "fastlb.supervisor", str(REQUEST_FD), str(REPORT_FD), bequest.config.name]
            process = spawn(SpawnPlan(command, numbers, environment(bequest.environment), bequest.config.cwd))
        finally:
            os.close(request_fd)
        if_failed.pop_all()
    return Successor(process, ours, estate_fd, reaper)


def _estate_number(tenure: Tenure) -> int:
    return FIRST_LISTENER_FD + len(tenure.given)


def _request(tenure: Tenure, bequest: Bequest) -> LaunchRequest:
    score = bequest.worker_oom_score
    succession = Succession(
        listeners=handed(tenure.given, FIRST_LISTENER_FD),
        next_number=bequest.next_number,
        oom_score=None if score is None else base_of(score),
        estate_fd=_estate_number(tenure),
    )
    changed = {"config": bequest.config, "stopped": sorted(bequest.stopped), "succession": succession}
    return msgspec.structs.replace(tenure.request, lock_fd=LOCK_FD, systemd_fds=0, wait=True, **changed)


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a successor: what the app inherits, and what our service manager has told us alone."""
    env = {name: value for name, value in inherited.items() if name not in SYSTEMD_VARIABLES}
    told = {name: inherited[name] for name in (NOTIFY_VARIABLE, WATCHDOG_INTERVAL) if name in inherited}
    return env | told


def refuse_what_cannot_be_replaced(tenure: Tenure, *, is_service: bool) -> None:
    """Raise where two supervisors of an app cannot be for a moment, or nobody would know of the second.

    Raises:
        FastlbError: says what to do instead.
    """
    name = tenure.request.config.name
    if os.getpid() == 1:
        raise FastlbError("it is process 1 of a container: start a container of the new image, and end this one")
    if tenure.request.foreground and not is_service:
        raise FastlbError("it runs in the foreground, for whoever started it: end it there, and run it again")
    if not tenure.given:
        anew = f"give it --bind, or `fastlb stop {name}`, then `fastlb start {name}`"
        raise FastlbError(f"it opens its ports itself, and two of it cannot have them at a time: {anew}")
