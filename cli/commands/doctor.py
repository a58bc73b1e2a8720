"""`fastlb doctor`: what is wrong with machine, settings and load. Runs in the user's shell."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import HomeUnusable, default_home
from ...supervisor.version import VERSION
from ..options import AppCommand, complete_names, json_option
from ..output import Output
from ..targets import resolve_names

if TYPE_CHECKING:
    from ..doctor.examined_app import Answer
    from ..doctor.finding import Diagnosis

EXAMPLES = (
    "fastlb doctor",
    "fastlb doctor shop --for 10       # why its workers have different loads",
    "fastlb doctor --quiet || mail -s doctor ops",
    "fastlb doctor --json | jq .worst",
)
DEFAULT_SECONDS = 2.0


@click.command("doctor", cls=AppCommand, examples=EXAMPLES, short_help="Say what is wrong, and what mends it.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0.1, 600.0),
    default=DEFAULT_SECONDS,
    metavar="SECONDS",
    help="How long to look at what changes.  [default: 2]",
)
@click.option("--quiet", "-q", is_flag=True, help="Print warnings and errors only.")
@json_option
def command(names: tuple[str, ...], seconds: float, quiet: bool, as_json: bool) -> int:
    """Look at the machine and at apps, and say what was measured, what it means, and what mends it.

    Queues of the kernel, descriptors, ports, CPU, memory, time-outs, files, versions; and why the workers of an app do
    not have the same load. Nothing is changed. Without NAME: all apps.

    The exit code is that of the worst: 0 nothing is wrong, 5 something will be, 6 something is.
    """
    from ..doctor.examination import findings_of
    from ..doctor.finding import diagnosis_of
    from ..doctor.gathering import gather

    home = default_home()
    wanted = resolve_names(names) if names else _known(home)
    state = gather(wanted, home, seconds, _ask, VERSION)
    diagnosis = diagnosis_of(findings_of(state), seconds)
    if as_json:
        Output.for_results().json(diagnosis)
    else:
        _print(diagnosis, Output.for_results(), quiet=quiet)
    return diagnosis.exit_code


def _known(home: Path) -> list[str]:
    """Return the apps of a home; none of another user's, which is a finding of its own.

    Raises:
        HomeUnusable: there are no apps for another reason.
    """
    from ..doctor.gathering import gather_home

    try:
        return list_apps(home)
    except HomeUnusable:
        if os.geteuid() in (0, gather_home(home).uid):
            raise
        return []


def _ask(names: Sequence[str]) -> "Sequence[Answer]":
    from ..doctor.examined_app import Answer
    from ..metrics.reading import read_metrics

    states, now = read_metrics(names), time.monotonic()
    return [Answer(now, state.entry, state.problem, state.is_unreachable) for state in states]


def _print(diagnosis: "Diagnosis", output: Output, *, quiet: bool) -> None:
    """Print findings, the worst first; those that are well in a line each."""
    for finding in diagnosis.findings:
        title = " ".join(filter(None, (finding.app, finding.check)))
        if finding.severity == "ok":
            if not quiet:
                output.line(f"ok: {title}: {finding.measured}")
        elif not quiet or finding.severity != "note":
            output.event_line(finding.severity, f"{finding.severity}: {title}", f": {finding.measured}")
            for text in (finding.meaning, f"mend: {finding.mend}" if finding.mend else ""):
                if text:
                    output.line(f"    {text}")
