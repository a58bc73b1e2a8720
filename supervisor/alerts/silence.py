"""Owns alerts.json of an app: until when nobody is to be told. Written and read by the supervisor process."""

import math

import msgspec

from ..errors import FastlbError
from ..home.paths import AppPaths
from ..home.stored_config import write_atomically
from ..output import wall_clock
from ..regular_file import read_regular


class _Stored(msgspec.Struct, frozen=True):
    silent_until: float


class Silence:
    """Until when nobody is told of the alerts of an app, through restarts of its supervisor.

    Attributes:
        until: seconds since the epoch; what is past is no silence.
    """

    def __init__(self, paths: AppPaths) -> None:
        self._paths = paths
        self.until = self._load()

    @property
    def is_on(self) -> bool:
        """Whether nobody is to be told now."""
        return wall_clock.now() < self.until

    def begin(self, seconds: float) -> None:
        """Tell nobody for so long; 0: tell again.

        Raises:
            FastlbError: the disk does not take it; it holds until the supervisor ends.
        """
        self.until = wall_clock.now() + seconds if seconds else 0.0
        if not self._paths.is_kept:
            return
        try:
            write_atomically(self._paths.alerts, msgspec.json.encode(_Stored(self.until)))
        except OSError as error:
            raise FastlbError(f"cannot write {self._paths.alerts}: {error.strerror}") from error

    def inherit(self, until: float | None) -> None:
        """Be silent as long as a predecessor was to be, which may have been told otherwise since we were made."""
        if self._paths.is_kept:
            self.until = self._load()
        elif until is not None and math.isfinite(until):
            self.until = until

    def _load(self) -> float:
        try:
            until = msgspec.json.decode(read_regular(self._paths.alerts), type=_Stored).silent_until
        except (OSError, msgspec.DecodeError):
            return 0.0
        return until if math.isfinite(until) else 0.0
