"""Owns what a trial finds: a promise, what was measured, and whether it was kept. Pure data."""

from collections.abc import Callable, Iterator

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One row of the table."""

    promise: str
    measured: str
    ok: bool


class Scale(msgspec.Struct, frozen=True):
    """How large a trial is: `quick` runs a tenth."""

    quick: bool = False

    def of(self, full: int, least: int = 1) -> int:
        """Return `full`, or a tenth of it (at least `least`) when quick."""
        return max(full // 10, least) if self.quick else full


Trial = Callable[[Scale], Iterator[Finding]]
