"""Owns what a load is and what came of it: plan and report, passed between processes as JSON."""

import msgspec

Address = tuple[str, int] | str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send.

    Attributes:
        address: (host, port) or the path of a unix socket.
        clients: requests at a time.
        keep_alive: one connection a client for as long as the server allows; else a connection per request.
        requests: stop after so many; 0: no bound.
        seconds: stop after so long; 0: no bound.
        timeout: seconds after which a request counts as hung.
        slow_after: seconds after which an answered request is counted as slow as well; 0: none is.
    """

    address: Address
    path: str = "/"
    clients: int = 8
    keep_alive: bool = False
    requests: int = 0
    seconds: float = 0.0
    timeout: float = 5.0
    slow_after: float = 0.0


class Failure(msgspec.Struct, frozen=True):
    """One failed request: `at` seconds after the start; `reused`: not the first one on its connection."""

    at: float
    kind: str
    seconds: float
    reused: bool


class Report(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        longest_silence_ms: longest time in which no request at all was completed.
        by_millisecond: how many answered requests took so many whole milliseconds; the last count: that or more.
    """

    ok: int = 0
    slow: int = 0
    refused: int = 0
    reset: int = 0
    closed_early: int = 0
    timeout: int = 0
    bad_status: int = 0
    connections: int = 0
    seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    longest_silence_ms: float = 0.0
    by_millisecond: list[int] = msgspec.field(default_factory=list)
    failures: list[Failure] = msgspec.field(default_factory=list)

    @property
    def failed(self) -> int:
        """Requests that were not answered with a complete 2xx response."""
        return self.refused + self.reset + self.closed_early + self.timeout + self.bad_status

    @property
    def requests(self) -> int:
        """All requests, answered or not."""
        return self.ok + self.failed

    def summary(self) -> str:
        """Return one line for people."""
        kinds = ("refused", "reset", "closed_early", "timeout", "bad_status")
        bad = ", ".join(f"{getattr(self, kind)} {kind}" for kind in kinds if getattr(self, kind))
        return (
            f"{self.requests} requests, {self.failed} failed{f' ({bad})' if bad else ''}, "
            f"{self.requests / max(self.seconds, 1e-9):,.0f}/s, "
            f"p50 {self.p50_ms:.2f} ms, p99 {self.p99_ms:.2f} ms, max {self.max_ms:.1f} ms, "
            f"silence {self.longest_silence_ms:.0f} ms"
        )
