"""Owns when changes of files are over, so that many make one, and when they are no person's. Pure; the supervisor
process; times are monotonic seconds."""

from collections.abc import Collection

# Of a writer that never rests: so many delays, and no less than this, after its first change.
LONGEST_DELAYS = 20
LONGEST_SECONDS = 2.0
MOST_REMEMBERED = 1000
# A change of the same files as before may be the app's own when it comes so soon after they had the app started; most
# likely when none of the new workers serves yet, as nobody has seen anything of the new code then. Persons and scripts
# that save again and again as soon as they have looked are not to wait: these are twenty in a row at least.
SOON_SECONDS = 2.0
DOUBT = 1
DOUBT_BEFORE_SERVED = 6
MOST_DOUBT = 30
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 30.0
# A person who writes on, and comes back to the same file.
FORGIVEN_SECONDS = 10.0


class Gathering:
    """Changes that are reported together, when for `delay` seconds nothing more has come.

    Attributes:
        paths: what has changed.
        first_at, before_served: when the first of them came, and whether no new worker served then.
    """

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.first_at = 0.0
        self.before_served = False
        self._last_at = 0.0

    def note(self, paths: Collection[str], now: float, *, before_served: bool = False) -> None:
        """Take note that these have changed; `before_served`: whether no new worker serves yet."""
        if not self.paths:
            self.first_at, self.before_served = now, before_served
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
        self._doubt = 0

    def pause(self, changes: Gathering) -> float:
        """Return for how many seconds changes are to wait."""
        after = changes.first_at - self._asked_at
        if after > FORGIVEN_SECONDS or not self._paths.issuperset(changes.paths):
            self._doubt = 0
        elif changes.before_served:
            self._doubt += DOUBT_BEFORE_SERVED
        elif after < SOON_SECONDS:
            self._doubt += DOUBT
        excess = self._doubt - MOST_DOUBT
        return min(FIRST_PAUSE * 2 ** (excess // DOUBT_BEFORE_SERVED), LONGEST_PAUSE) if excess >= 0 else 0.0

    def note_asked(self, paths: Collection[str], now: float) -> None:
        """Take note that the app is started anew because of these."""
        self._paths, self._asked_at = frozenset(paths), now
