"""Puts faults in and writes which of them the tests found: `python -m benchmarks.mutants [--only LIST ...]`"""

import argparse
import queue
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from benchmarks.machine import describe_machine

from .core_mutants import CORE
from .mutant import Mutant, Outcome
from .node_mutants import NODE
from .opening_mutants import OPENING
from .python_mutants import run_python_mutants
from .report import render
from .results import ListResult, killed_before, load_results, store_results
from .workspace import Workspace
from .wsgi_mutants import WSGI

RESULTS = Path(__file__).resolve().parents[1] / "results"
CORE_TESTS = ("tests/native", "tests/worker/test_inbox.py", "tests/worker/test_page_order.py")
LISTS: dict[str, tuple[Sequence[Mutant], tuple[str, ...]]] = {
    "core": (CORE, CORE_TESTS),
    "opening": (OPENING, CORE_TESTS),
    "node": (NODE, CORE_TESTS),
    "wsgi": (WSGI, ("tests/unit/test_wsgi_parts.py", "tests/worker")),
}


def main() -> int:
    """Run, write benchmarks/results/mutants.{json,md}; exit code 1 when a mutant lived that should not."""
    options = parse_arguments()
    kept = RESULTS / f"{options.output}.json"
    results = load_results(kept)
    measured = describe_machine(f"python -m benchmarks.mutants {' '.join(sys.argv[1:])}".strip())
    for name in (name for name in LISTS if name in options.only):
        mutants, tests = LISTS[name]
        known = killed_before(results.lists.get(name), mutants) if options.survivors else {}
        before = results.lists[name].measured if known else []
        result = results.lists[name] = ListResult([*before, *measured], list(known.values()))
        wanted = [mutant for mutant in mutants if mutant not in known]
        for outcome in try_mutants(wanted, () if options.own else tests, options.at_once):
            print(f"{outcome.fate}: {outcome.mutant.rule}: {outcome.mutant.new!r} {outcome.told_by}", flush=True)
            result.outcomes.append(outcome)
            result.outcomes.sort(key=lambda one: mutants.index(one.mutant))
            store_results(kept, results)
    if "python" in options.only:
        results.python = run_python_mutants(Workspace(), measured)
        store_results(kept, results)
    lines = render(results)
    (RESULTS / f"{options.output}.md").write_text("\n".join(lines))
    print("\n".join(lines))
    outcomes = [outcome for result in results.lists.values() for outcome in result.outcomes]
    left = results.python.unexplained if results.python else []
    return int(bool(left) or any(outcome.is_unexplained for outcome in outcomes))


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="Which faults do the tests find?")
    everything = [*LISTS, "python"]
    parser.add_argument("--only", nargs="+", choices=everything, default=everything, help="default: all")
    parser.add_argument("--survivors", action="store_true", help="leave out what the last run of a list has killed")
    parser.add_argument("--own", action="store_true", help="run the rule's own tests only: what lives may yet be found")
    parser.add_argument("--at-once", type=int, default=2, help="mutants that are tried at the same time")
    parser.add_argument("--output", default="mutants", help="name of the files in benchmarks/results")
    return parser.parse_args()


def try_mutants(mutants: Sequence[Mutant], tests: Sequence[str], at_once: int) -> Iterator[Outcome]:
    """Try mutants, each in a copy of the tree that no other uses at the time; yield what came of each, as it comes."""
    if not mutants:
        return
    with ThreadPoolExecutor(at_once) as pool:
        free: queue.Queue[Workspace] = queue.Queue()
        for workspace in pool.map(Workspace, range(min(at_once, len(mutants)))):
            free.put(workspace)

        def try_one(mutant: Mutant) -> Outcome:
            workspace = free.get()
            try:
                return workspace.try_mutant(mutant, tests)
            finally:
                free.put(workspace)

        free.queue[0].check(sorted({*tests, *(name for mutant in mutants for name in mutant.tests)}))
        for done in as_completed([pool.submit(try_one, mutant) for mutant in mutants]):
            yield done.result()


if __name__ == "__main__":
    sys.exit(main())
