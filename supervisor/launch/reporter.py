"""Owns what a supervisor says about its start, to whoever launched it. Runs in the supervisor process.

With a report descriptor (`fastlb start`) it speaks in LaunchReports, without (`fastlb run`) to the terminal.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable

import msgspec

from ..control.progress import Progress
from ..errors import FastlbError, StartFailed, StartStopped
from ..version import VERSION
from .messages import TAKE_OVER, FailedReport, LaunchReport, ProgressReport, ReadyReport, StartedReport


class Reporter:
    """Sends reports; a launcher that has gone away is not an error. `fd`: -1 for the terminal.

    Attributes:
        hide: what a text becomes before anybody sees it.
        shown: what a text becomes on the terminal.
    """

    def __init__(self, fd: int) -> None:
        self.hide: Callable[[str], str] = lambda text: text
        self.shown: Callable[[str], str] = lambda text: text
        self._socket = socket.socket(fileno=fd) if fd >= 0 else None
        if self._socket:
            os.set_inheritable(fd, False)

    def progress(self, progress: Progress) -> None:
        """Report a step of the start."""
        if self._socket:
            self._send(ProgressReport(progress.text, progress.admitted, progress.workers))

    async def may_take_over(self) -> bool:
        """Say to a predecessor that all is ready; return whether it wants to be replaced now."""
        assert self._socket
        self._send(ReadyReport(VERSION))
        try:
            answer = await asyncio.get_running_loop().sock_recv(self._socket, len(TAKE_OVER))
        except ConnectionError:
            return False
        return answer == TAKE_OVER

    def started(self, text: str, remarks: list[str]) -> None:
        """Report that the start is done: the last report. The terminal has seen the remarks in the log."""
        self._finish(StartedReport(text, remarks), f"fastlb | {text}\n")

    def failed(self, error: FastlbError) -> None:
        """Report that the start failed: the last report."""
        details, message = self.hide(error.details.rstrip()), self.hide(error.message)
        report = FailedReport(message, details, error.exit_code)
        # The details of a StartFailed are what a worker wrote: the terminal has shown them.
        shown = "" if isinstance(error, StartFailed) or not details else f"{details}\n"
        self._finish(report, f"error: {message}\n{shown}")

    def stopped(self, error: StartStopped) -> int:
        """Report that the app was ended before it had started, the last report; return the exit code.

        0 in the foreground: whoever ran it has ended it, as at any later time.
        """
        has_launcher = self._socket is not None
        self._finish(FailedReport(error.message, exit_code=error.exit_code), f"fastlb | {error.message}\n")
        return error.exit_code if has_launcher else 0

    async def launcher_gone(self) -> None:
        """Return when the launcher has hung up; never without one."""
        if self._socket:
            self._socket.setblocking(False)
            loop = asyncio.get_running_loop()
            with contextlib.suppress(ConnectionError):
                while await loop.sock_recv(self._socket, 1024):
                    pass
        else:
            await asyncio.get_running_loop().create_future()

    def _finish(self, report: LaunchReport, text: str) -> None:
        if self._socket:
            self._send(report)
            self._socket.close()
            self._socket = None
        elif text:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(self.shown(text))
                sys.stderr.flush()

    def _send(self, report: LaunchReport) -> None:
        assert self._socket
        line = msgspec.json.encode(report) + b"\n"
        # The launcher reads all the time; one that does not must not hold us up, nor one that is gone.
        with contextlib.suppress(OSError):
            self._socket.settimeout(1.0)
            self._socket.sendall(line)
        with contextlib.suppress(OSError):
            self._socket.setblocking(False)
