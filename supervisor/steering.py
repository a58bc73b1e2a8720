"""Owns what a person may do to the workers of a running app at any moment: lines, signals, counters.

Runs in the supervisor process. It ends nobody and starts nobody: that is an operation.
"""

from collections.abc import Sequence

from .errors import UsageError
from .output.event_log import EventLog
from .settings.signal_names import check_signal, signal_name
from .workers.crew import Crew
from .workers.signalling import meant, signal_workers


class Steering:
    """Speaks to the workers of an app.

    Args:
        crew, log: borrowed.
        is_served: clients are handed to the workers.
    """

    def __init__(self, crew: Crew, log: EventLog, *, is_served: bool) -> None:
        self._crew = crew
        self._log = log
        self._is_served = is_served

    def send(self, line: str, worker_id: int | None) -> str:
        """Write a line to the standard input of each worker, or of one. Returns a sentence.

        Raises:
            UsageError: it is more than one line.
            FastlbError: there is no such worker, or one could not be written to; the message says which.
        """
        if "\n" in line or "\0" in line:
            raise UsageError("send: give one line, without its end")
        return self._crew.send_line(line.encode() + b"\n", worker_id)

    def signal(self, number: int, worker_id: int | None) -> str:
        """Send a signal to the process of each worker, or of one. Returns a sentence.

        Raises:
            UsageError: it is no signal.
            FastlbError: there is no such worker, or the signal would break one; none got it.
        """
        workers = meant(self._crew.members, worker_id)
        said = signal_workers(workers, check_signal(number), is_served=self._is_served)
        self._log.info("signal_sent", signal=signal_name(number), workers=len(workers))
        return said

    def reset(self, worker_ids: Sequence[int]) -> str:
        """Count the restarts of these workers (empty: of all) from 0 again, and forget their crashes.

        Returns a sentence.
        """
        self._crew.reset_restarts(worker_ids)
        self._log.info("restarts_reset", workers=",".join(map(str, worker_ids)) or "all")
        return "restarts are counted from 0"
