"""Owns what a finding of `fastlb doctor` is, and which exit code findings mean. Pure; runs in the user's shell."""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from ...supervisor.errors import EXIT_FOUND_ERROR, EXIT_FOUND_WARNING

Severity = Literal["ok", "note", "warning", "error"]
# The worst comes last.
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
EXIT_CODE_OF: dict[Severity, int] = {"ok": 0, "note": 0, "warning": EXIT_FOUND_WARNING, "error": EXIT_FOUND_ERROR}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What came of looking at one thing.

    Attributes:
        check: what was looked at: "somaxconn".
        severity: ok; note: good to know; warning: requests will be lost, or slow, as soon as something else happens;
            error: they are now, or something does not work.
        measured: the figures, a sentence.
        meaning: what follows from them; empty: nothing.
        mend: the command, or the change, that mends it; empty: there is nothing to mend.
        app: whose it is; empty: the machine's.
    """

    check: str
    severity: Severity
    measured: str
    meaning: str = ""
    mend: str = ""
    app: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """The result of `doctor --json`: the worst findings first.

    Attributes:
        worst: severity of the worst finding.
        exit_code: of the command.
        seconds: how long it looked at what changes.
    """

    worst: Severity
    exit_code: int
    seconds: float
    findings: list[Finding]


def diagnosis_of(findings: Sequence[Finding], seconds: float) -> Diagnosis:
    """Return what findings mean together; `seconds` as in Diagnosis."""
    ordered = sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity))
    worst = ordered[0].severity if ordered else "ok"
    return Diagnosis(worst, EXIT_CODE_OF[worst], round(seconds, 3), ordered)
