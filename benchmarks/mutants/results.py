"""Owns what is kept of earlier runs, benchmarks/results/NAME.json, so that a run of one list leaves the others."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from .mutant import Mutant, Outcome
from .python_mutants import PythonReport


class ListResult(msgspec.Struct):
    """What came of one list. `measured`: lines of Markdown, of each run that tried some of it."""

    measured: list[str]
    outcomes: list[Outcome]


class Results(msgspec.Struct):
    """What is known of each hand-written list, and of mutmut's mutants."""

    lists: dict[str, ListResult] = {}
    python: PythonReport | None = None


def load_results(path: Path) -> Results:
    """Return what is kept in a file; nothing when there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def store_results(path: Path, results: Results) -> None:
    """Keep results in a file."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def killed_before(result: ListResult | None, mutants: Sequence[Mutant]) -> dict[Mutant, Outcome]:
    """Return the outcomes of those mutants of a list that an earlier run has killed, as they stand in the list now."""
    kept = {outcome.mutant.fault: outcome for outcome in result.outcomes} if result else {}
    return {
        mutant: msgspec.structs.replace(outcome, mutant=mutant)
        for mutant in mutants
        if (outcome := kept.get(mutant.fault)) and outcome.fate == "killed"
    }
