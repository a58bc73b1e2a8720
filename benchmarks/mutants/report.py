"""Owns how the fates of mutants look: Markdown."""

from collections.abc import Sequence

from .mutant import Outcome
from .python_mutants import PythonReport, changed, explanation_of
from .results import ListResult, Results

TITLES = {
    "core": "The compiled core",
    "opening": "What comes before a worker: PROXY headers, heads of requests",
    "node": "Taking back from Node workers",
    "wsgi": "WSGI: framing of requests and responses",
}
HEADING = """# Faults put in on purpose, and whether the tests found them

A fault is found when a test fails with it, and fails again alone. Every test passes without it. A fault that lives is
explained, or the tests miss something. After `--own`, what lives has been tried on its rule's own tests only.
"""


def render(results: Results) -> list[str]:
    """Return the report of everything that is known."""
    lines = [*HEADING.splitlines(), ""]
    for name, result in results.lists.items():
        lines += render_list(TITLES[name], result)
    if results.python:
        lines += render_python(results.python)
    return lines


def render_list(title: str, result: ListResult) -> list[str]:
    """Return the table of one hand-written list."""
    outcomes: Sequence[Outcome] = result.outcomes
    killed = sum(outcome.fate == "killed" for outcome in outcomes)
    explained = sum(outcome.fate != "killed" and bool(outcome.mutant.equivalent) for outcome in outcomes)
    lines = [
        f"## {title}: {killed} of {len(outcomes)} found, {explained} explained",
        "",
        *result.measured,
        "",
        "| rule | file | instead of | stands | |",
        "|---|---|---|---|---|",
    ]
    return [*lines, *map(render_outcome, outcomes), ""]


def render_outcome(outcome: Outcome) -> str:
    """Return the line of one mutant."""
    mutant = outcome.mutant
    fate = f"found by `{outcome.told_by}`" if outcome.fate == "killed" else f"**{outcome.fate}**"
    if outcome.fate != "killed" and mutant.equivalent:
        fate = f"{outcome.fate}: {mutant.equivalent}"
    return f"| {mutant.rule} | {mutant.file} | {cell(mutant.old)} | {cell(mutant.new)} | {fate} |"


def cell(code: str) -> str:
    """Return a piece of code on one line of a table."""
    return f"`{' '.join(code.split()).replace('|', chr(0x2223))}`"


def render_python(report: PythonReport) -> list[str]:
    """Return what mutmut found, with the diff of every fault that lived."""
    unexplained = report.unexplained
    killed = report.total - len(report.survivors)
    lines = [
        f"## Pure Python of the supervisor, by mutmut: {killed} of {report.total} found, "
        f"{len(report.survivors) - len(unexplained)} explained, {len(unexplained)} not",
        "",
        *report.measured,
        "",
    ]
    for name, diff in report.survivors.items():
        why = explanation_of(name, diff) or "**not explained**"
        lines += [f"- `{name}`: {why}", "", "```diff", *changed(diff), "```", ""]
    return lines
