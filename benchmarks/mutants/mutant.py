"""Owns what a mutant is, and what came of one."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Fate = Literal["killed", "survived", "does not apply", "does not build"]


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One small fault.

    Attributes:
        rule: what the code promises at this place, in words.
        file: relative to the root.
        old: a piece of the file that occurs once.
        new: what takes its place.
        tests: files of tests that hold the rule: they are tried before all others.
        equivalent: why no test can find it, of one that changes nothing that can be seen; else "".
    """

    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    equivalent: str = ""

    @property
    def is_compiled(self) -> bool:
        """Whether the compiled modules must be built anew."""
        return self.file.endswith((".pyx", ".pxd"))

    @property
    def fault(self) -> "Fault":
        """What tells it from all others."""
        return (self.file, self.old, self.new)

    def applied_to(self, text: str) -> str | None:
        """Return the text with the fault in it; None when `old` is not there exactly once."""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None


Fault = tuple[str, str, str]  # file, what stands there, what takes its place


def mutants_of(
    rules: Mapping[str, tuple[Fault, ...]],
    tests: Mapping[str, tuple[str, ...]],
    equivalent: Mapping[Fault, str],
) -> tuple[Mutant, ...]:
    """Return the mutants of a table of rules.

    Args:
        rules: the faults of each rule.
        tests: the files of tests of each rule.
        equivalent: why no test can find a fault.
    """
    return tuple(
        Mutant(
            rule=rule,
            file=fault[0],
            old=fault[1],
            new=fault[2],
            tests=tests.get(rule, ()),
            equivalent=equivalent.get(fault, ""),
        )
        for rule, faults in rules.items()
        for fault in faults
    )


class Outcome(msgspec.Struct, frozen=True):
    """What came of a mutant. `told_by`: the test that failed first, and again when it was run alone."""

    mutant: Mutant
    fate: Fate
    told_by: str = ""
    seconds: float = 0.0

    @property
    def is_unexplained(self) -> bool:
        """Whether it lives and nobody has said why that does no harm."""
        return self.fate != "killed" and not self.mutant.equivalent
