"""Owns running several apps of a configuration file in the foreground: one process that starts a supervisor for each,
passes signals on, and collects what has ended. Runs in the user's shell; process 1 of a container.

It reads and writes nothing of the apps: each supervisor writes to the same standard output. An app that fails ends the
others, so that whoever started them all knows.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ...supervisor.launch.messages import Foreground
from ...supervisor.launch.starter import spawn_foreground
from ...supervisor.processes.held_signals import HELD, hold_signals
from ..launching import prepared_in_foreground
from .elsewhere import back_again
from .requests import Wanted

# What is passed on as it comes.
PASSED_ON = (*HELD, signal.SIGUSR1)
SIGNAL_CODES = 128


class Together:
    """Supervisors of several apps, as children of this process.

    Args:
        pids: of the supervisors, with the names of their apps.
    """

    def __init__(self, pids: Mapping[int, str]) -> None:
        self._running = dict(pids)
        self._codes: list[int] = []

    def run(self) -> int:
        """Pass signals on until all have ended; return the first exit code that is a failure, or 0.

        The signals must have been held since before the first one was started.
        """
        awaited = {*PASSED_ON, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
        self._collect()  # what has ended before
        while self._running:
            number = signal.sigwait(awaited)
            if number == signal.SIGCHLD:
                self._collect()
            else:
                self._send(number)
        return next((code for code in self._codes if code), 0)

    def _collect(self) -> None:
        """Take note of all children that have ended; as process 1 there are orphans among them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._running.pop(pid, None) is not None:
                code = os.waitstatus_to_exitcode(status)
                self._codes.append(SIGNAL_CODES - code if code < 0 else code)
                if code:
                    self._send(signal.SIGTERM)

    def _send(self, number: int) -> None:
        for pid in self._running:
            with suppress(ProcessLookupError):  # it is collected next
                os.kill(pid, number)


def run_together(wanted: Sequence[Wanted], foreground: Foreground) -> int:
    """Run these apps until all have ended; return the exit code.

    Raises:
        FastlbError: one cannot be started; those that were are ended.
    """
    hold_signals()
    pids: dict[int, str] = {}
    try:
        for one in wanted:
            with back_again():
                paths, own = prepared_in_foreground(one.config, foreground)
                pids[spawn_foreground(one.config, paths, own, one.setting_origins)] = one.config.name
    except BaseException:
        together = Together(pids)
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        together.run()
        raise
    return Together(pids).run()
