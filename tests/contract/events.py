"""Owns how the contract tests find the names of all events in the supervisor's code. Reads only."""

import ast
from collections.abc import Iterator

from fastlb.supervisor.operations import Operation

from .sources import code_files

LEVELS = ("info", "warning", "error")
# Makers of events whose first argument is the name: an effect, a problem of a file, a function of their own.
MAKERS = ("Report", "Problem", "format_event", "_log_event", "_warn", "Event")


def event_names() -> set[str]:
    """Return every name of an event that the supervisor may write; those of operations once for each verb."""
    return {name for path in code_files(["supervisor"], [".py"]) for name in names_in(path.read_text())}


def names_in(text: str) -> Iterator[str]:
    """Yield the names of events in a text of Python."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and _makes_events(node.func):
            for argument in node.args:
                yield from _names(argument)


def _makes_events(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in MAKERS
    if not isinstance(function, ast.Attribute):
        return False
    is_log = "log" in ast.unparse(function.value).rpartition(".")[2]
    return function.attr in MAKERS or (function.attr in LEVELS and is_log)


def _names(argument: ast.expr) -> Iterator[str]:
    match argument:
        case ast.Constant(value=str(name)) if name.isidentifier() and name not in LEVELS and name.islower():
            yield name
        case ast.JoinedStr(values=[ast.FormattedValue(), ast.Constant(value=str(ending))]):
            yield from (operation.verb + ending for operation in Operation)
