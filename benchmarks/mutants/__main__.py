"""Puts faults in and writes which of them the tests found: `python -m benchmarks.mutants [--only core wsgi python]`"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe_machine

from .core_mutants import CORE
from .mutant import Mutant, Outcome
from .python_mutants import run_python_mutants
from .report import render_outcomes, render_python
from .workspace import Workspace
from .wsgi_mutants import WSGI

RESULTS = Path(__file__).resolve().parents[1] / "results"
LISTS: dict[str, tuple[str, Sequence[Mutant], tuple[str, ...]]] = {
    "core": ("The compiled core", CORE, ("tests/native", "tests/worker/test_inbox.py")),
    "wsgi": ("WSGI: framing of requests and responses", WSGI, ("tests/unit/test_wsgi_parts.py", "tests/worker")),
}


def main() -> int:
    """Run, write benchmarks/results/mutants.md; exit code 1 when a mutant lived that should not."""
    parser = argparse.ArgumentParser(description="Which faults do the tests find?")
    parser.add_argument("--only", nargs="+", choices=[*LISTS, "python"], help="default: all")
    parser.add_argument("--output", default="mutants", help="name of the file in benchmarks/results")
    options = parser.parse_args()
    wanted = options.only or [*LISTS, "python"]
    workspace = Workspace()
    command = f"python -m benchmarks.mutants {' '.join(sys.argv[1:])}".strip()
    lines = ["# Faults put in on purpose, and whether the tests found them", "", *describe_machine(command), ""]
    outcomes: list[Outcome] = []
    for name in (name for name in LISTS if name in wanted):
        title, mutants, tests = LISTS[name]
        found = [try_one(workspace, mutant, tests) for mutant in mutants]
        workspace.builds()  # the last fault is still in the compiled modules
        outcomes += found
        lines += render_outcomes(title, found)
    if "python" in wanted:
        lines += render_python(run_python_mutants(workspace))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{options.output}.md").write_text("\n".join(lines))
    print("\n".join(lines))
    return int(any(outcome.fate != "killed" and not outcome.mutant.equivalent for outcome in outcomes))


def try_one(workspace: Workspace, mutant: Mutant, tests: tuple[str, ...]) -> Outcome:
    """Try a mutant and show what came of it."""
    outcome = workspace.try_mutant(mutant, tests)
    print(f"{outcome.fate}: {mutant.rule}: {mutant.file}: {mutant.new!r} {outcome.told_by}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
