"""`fastlb report`: what to send with a bug. Runs in the user's shell."""

import os
import platform
from pathlib import Path

import click
import msgspec

from ...supervisor.control.protocol import AppEntry
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.settings.cpus import usable_cpus
from ...supervisor.version import VERSION
from ..app_table import app_table
from ..apps import paths_of, read_states
from ..instances import number_workers
from ..options import AppCommand, json_option
from ..output import Output

EXAMPLES = ("fastlb report > report.txt", "fastlb report --json")
LAST_LINES = 20
LAST_BYTES = 8192


class Report(msgspec.Struct, frozen=True):
    """The result of `report --json`.

    Attributes:
        machine: versions and figures, by their names.
        apps: as `list --json`.
        problems: why more could not be known, a sentence each.
        last_lines: the last words of each supervisor, by the file.
    """

    machine: dict[str, str]
    apps: list[AppEntry]
    problems: list[str]
    last_lines: dict[str, list[str]]


@click.command("report", cls=AppCommand, examples=EXAMPLES, short_help="Print what a report of a bug needs.")
@json_option
def command(as_json: bool) -> None:
    """Print versions, the machine, what runs, and the last words of each supervisor; no values of variables."""
    report = _report()
    if as_json:
        Output.for_results().json(report)
    else:
        _show(report, Output.for_results())


def _report() -> Report:
    home = default_home()
    machine = {
        "fastlb": VERSION,
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "cpus": f"{usable_cpus()} usable of {os.cpu_count()}",
        "home": str(home),
    }
    states = read_states(list_apps(home))
    entries = [state.entry for state in states]
    number_workers(entries)
    logs = [log for entry in entries if (log := paths_of(entry.name).supervisor_log).exists()]
    problems = [state.problem for state in states if state.problem]
    return Report(machine, entries, problems, {str(log): _last_lines(log) for log in logs})


def _show(report: Report, output: Output) -> None:
    output.pairs(report.machine)
    if not report.apps:
        return
    output.heading("apps")
    output.table(app_table(report.apps))
    for problem in report.problems:
        output.line(problem)
    for log, lines in report.last_lines.items():
        output.heading(f"last lines of {log}")
        for line in lines:
            output.line(line)


def _last_lines(log: Path) -> list[str]:
    with open(log, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - LAST_BYTES, 0))
        return file.read(LAST_BYTES).decode(errors="replace").splitlines()[-LAST_LINES:]
