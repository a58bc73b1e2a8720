"""`fastlb show`: everything about one app. Runs in the user's shell."""

from typing import Any

import click

from ...supervisor.control.protocol import AppDetails
from ...supervisor.errors import EXIT_NOT_RUNNING
from ...supervisor.home.app_lock import is_running
from ...supervisor.settings.declared import declared_settings, format_setting
from ..app_table import app_table, worker_table
from ..apps import paths_of, read_details, resolve_name
from ..options import AppCommand, complete_names, json_option
from ..output import Column, Output, Table

EXAMPLES = ("fastlb show shop", "fastlb show shop --json", "fastlb show shop --quiet || fastlb start shop")
PAIR_COLUMNS = (Column("name", "name"), Column("value"))


@click.command("show", cls=AppCommand, examples=EXAMPLES, short_help="Show one app (describe, info).")
@click.argument("name", shell_complete=complete_names)
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Print nothing; exit code 0: it runs, 3: it does not.")
def command(name: str, as_json: bool, quiet: bool) -> int:
    """Show everything about one app: its workers, settings, files and the dispatcher's counters.

    Values of environment variables are hidden.
    """
    if quiet:
        return 0 if is_running(paths_of(resolve_name(name))) else EXIT_NOT_RUNNING
    details = read_details(resolve_name(name))
    if as_json:
        Output.for_results().json(details)
    else:
        _show(details, Output.for_results())
    return 0


def _show(details: AppDetails, output: Output) -> None:
    output.table(app_table([details]))
    if details.workers:
        output.heading("workers")
        output.table(worker_table(details.workers))
    impeded = [worker for worker in details.workers if worker.impediment]
    if impeded:
        output.heading("impediments")
        for worker in impeded:
            output.line(f"worker {worker.id} {worker.impediment}")
    logs = details.logs if any(details.logs.values()) else {}
    counted = {"dispatcher": details.dispatcher, "messages": details.messages, "logs": logs}
    pairs = {"settings": _settings(details), **counted, "files": details.files}
    for title, values in pairs.items():
        if values:
            output.heading(title)
            output.table(Table(PAIR_COLUMNS, [[key, _text(value)] for key, value in values.items()]))
    if details.last_error:
        output.heading("last error")
        output.line(details.last_error)


def _settings(details: AppDetails) -> dict[str, str]:
    """Return the settings that have a value, as one would type them; secrets are hidden already."""
    values = {setting.name: details.settings.get(setting.name) for setting in declared_settings()}
    origins = details.origins
    return {
        setting.name: format_setting(setting, values[setting.name])
        + (f" (from {origins[setting.name]})" if setting.name in origins else "")
        for setting in declared_settings()
        if values[setting.name] not in (None, "", [], (), {})
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
