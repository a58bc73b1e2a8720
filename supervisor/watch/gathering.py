"""Owns when changes of files are over, so that many make one, and when they are no person's. Pure; the supervisor
process; times are monotonic seconds."""

from collections.abc import Collection

# Of a writer that never rests: so many delays, and no less than this, after its first change.
LONGEST_DELAYS = 20
LONGEST_SECONDS = 2.0
MOST_REMEMBERED = 1000
# A change that comes so soon after the app was started because of the same files may be the app's own.
SOON_SECONDS = 2.0
PATIENCE = 5  # times in a row
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 30.0


class Gathering:
    """Changes that are reported together, when for `delay` seconds nothing more has come."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.first_at = 0.0
        self._last_at = 0.0

    def note(self, paths: Collection[str], now: float) -> None:
        """Take note that these have changed."""
        if not self.paths:
            self.first_at = now
        self._last_at = now
        self.paths.update(list(paths)[: MOST_REMEMBERED - len(self.paths)])

    def due_at(self, delay: float) -> float:
        """Return when they are to be reported, if nothing more comes."""
        longest = max(LONGEST_DELAYS * delay, LONGEST_SECONDS)
        return min(self._last_at + delay, self.first_at + longest)

    def take(self) -> set[str]:
        """Return what has changed, and begin anew."""
        paths, self.paths = self.paths, set()
        return paths


class LoopGuard:
    """Sees that an app changes its own files whenever it starts, and has it started less and less often then.

    No change is lost: it is reported later.
    """

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._paths: frozenset[str] = frozenset()
        self._streak = 0

    def pause(self, paths: Collection[str], first_at: float) -> float:
        """Return for how many seconds a change is to wait; `first_at`: when it came."""
        is_suspicious = first_at - self._asked_at < SOON_SECONDS and self._paths.issuperset(paths)
        self._streak = self._streak + 1 if is_suspicious else 0
        excess = self._streak - PATIENCE
        return min(FIRST_PAUSE * 2**excess, LONGEST_PAUSE) if excess >= 0 else 0.0

    def note_asked(self, paths: Collection[str], now: float) -> None:
        """Take note that the app is started anew because of these."""
        self._paths, self._asked_at = frozenset(paths), now
