"""Owns the judgement who hangs: workers by their status pages, the dispatcher by its answers. Pure.

Runs in the supervisor process; every time is passed in. Time in which the supervisor itself did not run (a
suspended machine, a stopped process, no CPU) counts for nobody: a watcher that slept has seen nothing.
"""

from collections import deque
from dataclasses import dataclass

NS = 1_000_000_000


class Attention:
    """The supervisor's own presence. `interval`: seconds between two looks when all is well."""

    def __init__(self, interval: float, now: float) -> None:
        self._longest = 2 * interval
        self._last_look = now
        # The latest absences: when each ended, and how long it was.
        self._absences: deque[tuple[float, float]] = deque(maxlen=64)

    def expect(self, interval: float) -> None:
        """Take note of another interval between looks."""
        self._longest = 2 * interval

    def look(self, now: float) -> float:
        """Seconds since the last look in which others could have shown that they live."""
        elapsed = now - self._last_look
        self._last_look = now
        if elapsed <= self._longest:
            return elapsed
        self._absences.append((now, elapsed - self._longest))
        return self._longest

    def attended_since(self, moment: float) -> float:
        """Seconds of attention between `moment` and the last look."""
        absent = sum(length for end, length in self._absences if end > moment)
        return max(self._last_look - moment - absent, 0.0)


@dataclass(frozen=True)
class HangLimits:
    """Seconds, by their names in AppConfig; 0 means never."""

    hang_timeout: float
    request_timeout: float


class WorkerWatch:
    """What has been seen of one process's heartbeat."""

    def __init__(self, limits: HangLimits) -> None:
        self._limits = limits
        self._heartbeat_ns = -1
        self._silent_for = 0.0

    def judge(
        self, heartbeat_ns: int, oldest_request_ns: int, elapsed: float, attention: Attention
    ) -> str | None:
        """A phrase why this worker counts as hung, or None.

        Args:
            heartbeat_ns: from its page; only its change counts, as a worker may claim any time.
            oldest_request_ns: from its page, 0 when no request runs.
            elapsed: attended seconds since the last call, from `attention.look`.
            attention: our own presence.
        """
        if heartbeat_ns != self._heartbeat_ns:
            self._heartbeat_ns, self._silent_for = heartbeat_ns, 0.0
        else:
            self._silent_for += elapsed
        limit = self._limits.hang_timeout
        if limit and self._silent_for >= limit:
            return f"its event loop gave no sign of life for hang_timeout ({limit:g} s)"
        limit = self._limits.request_timeout
        if limit and oldest_request_ns and attention.attended_since(oldest_request_ns / NS) >= limit:
            return f"a request ran longer than request_timeout ({limit:g} s)"
        return None


class AnswerWatch:
    """Questions to the dispatcher and how long the oldest has gone without an answer."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._token = 0
        self._is_waiting = False
        self._waited = 0.0

    @property
    def is_late(self) -> bool:
        """Whether the answer had not come at the last call of `is_overdue`."""
        return self._is_waiting and self._waited > 0

    def next_question(self) -> int | None:
        """The token of a new question, or None while one is open."""
        if self._is_waiting:
            return None
        self._token += 1
        self._is_waiting, self._waited = True, 0.0
        return self._token

    def one_more_question(self) -> int:
        """Return the token of a new question, also while one is open."""
        if self._is_waiting:
            self._token += 1
            return self._token
        token = self.next_question()
        assert token is not None
        return token

    def answered(self, token: int) -> None:
        """Take an answer: it answers all questions before its own, too."""
        self._waited = 0.0
        if token == self._token:
            self._is_waiting = False

    def is_overdue(self, elapsed: float) -> bool:
        """Whether the answer is missing for too long; `elapsed`: attended seconds since the last call."""
        self._waited += elapsed if self._is_waiting else 0.0
        return self._is_waiting and self._waited >= self._timeout
