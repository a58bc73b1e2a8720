"""Owns what is shown while what runs is made to match a configuration file. Runs in the user's shell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..config_files.problems import Problem
from ..output import Output

if TYPE_CHECKING:
    from .plan import Step


def show_printed(text: str) -> None:
    """Print what a file printed when it was evaluated."""
    if text:
        Output.for_errors().line(text.rstrip("\n"))


def show_problems(problems: Sequence[Problem]) -> None:
    """Print what is to be said of a file, each in a line of its own."""
    output = Output.for_errors()
    for problem in problems:
        if problem.severity == "error":
            output.error(str(problem))
        elif problem.severity == "warning":
            output.warning(str(problem))
        else:
            output.line(f"note: {problem}")


def show_plan(steps: "Sequence[Step]", *, is_dry: bool) -> None:
    """Print what will be done, and what changes; `is_dry`: it is all that was asked for."""
    output = Output.for_results() if is_dry else Output.for_errors()
    for step in steps:
        if step.action == "refuse":
            Output.for_errors().error(step.text)
        else:
            output.line(step.text)
        for difference in step.differences if step.action != "refuse" else ():
            output.line(f"  {difference.text}")


def show_table(names: Sequence[str]) -> None:
    """Print the apps of the file as `list` does."""
    from ..app_table import app_table  # `check` shows none
    from ..apps import read_states
    from ..instances import number_workers

    entries = [state.entry for state in read_states(names)]
    number_workers(entries)
    if entries:
        Output.for_results().table(app_table(entries))
