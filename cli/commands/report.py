"""`fastlb report`: what to send with a bug. Runs in the user's shell."""

import os
import platform
from pathlib import Path

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.settings.cpus import usable_cpus
from ...supervisor.version import VERSION
from ..app_table import app_table
from ..apps import paths_of, read_states
from ..instances import number_workers
from ..options import AppCommand
from ..output import Output

EXAMPLES = ("fastlb report > report.txt",)
LAST_LINES = 20
LAST_BYTES = 8192


@click.command("report", cls=AppCommand, examples=EXAMPLES, short_help="Print what a report of a bug needs.")
def command() -> None:
    """Print versions, the machine, what runs, and the last words of each supervisor; no values of variables."""
    output = Output.for_results()
    home = default_home()
    output.pairs(
        {
            "fastlb": VERSION,
            "python": platform.python_version(),
            "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
            "libc": " ".join(platform.libc_ver()),
            "cpus": f"{usable_cpus()} usable of {os.cpu_count()}",
            "home": str(home),
        }
    )
    states = read_states(list_apps(home))
    entries = [state.entry for state in states]
    if not entries:
        return
    number_workers(entries)
    output.heading("apps")
    output.table(app_table(entries))
    for state in states:
        if state.problem:
            output.line(state.problem)
        log = paths_of(state.entry.name).supervisor_log
        if log.exists():
            output.heading(f"last lines of {log}")
            for line in _last_lines(log):
                output.line(line)


def _last_lines(log: Path) -> list[str]:
    with open(log, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(size - LAST_BYTES, 0))
        return file.read(LAST_BYTES).decode(errors="replace").splitlines()[-LAST_LINES:]
