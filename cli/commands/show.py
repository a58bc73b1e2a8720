"""`fastlb show`: everything about one app. Runs in the user's shell."""

import click
import msgspec

from ...supervisor.control.protocol import AppDetails
from ...supervisor.errors import EXIT_NOT_RUNNING
from ...supervisor.home.app_lock import is_running
from ..app_details import print_details
from ..apps import paths_of, read_details
from ..instances import number_workers
from ..options import AppCommand, complete_names, json_option
from ..output import Output
from ..targets import Target, namespace_of, resolve_name, resolve_target

EXAMPLES = (
    "fastlb show shop",
    "fastlb show 3                         # the worker of this number, and its app",
    "fastlb show shop --json",
    "fastlb show shop --quiet || fastlb start shop",
)

NEXT = "settings after the next reload"


@click.command("show", cls=AppCommand, examples=EXAMPLES, short_help="Show one app (describe, desc, info).")
@click.argument("name", shell_complete=complete_names)
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Print nothing; exit code 0: it runs, 3: it does not.")
def command(name: str, as_json: bool, quiet: bool) -> int:
    """Show everything about one app: its workers, settings, files and the dispatcher's counters.

    One line begins with `memory` and one with `cpu`, and their second word is the figure: of one worker, as limits are.
    Values of environment variables are hidden.
    """
    if quiet:
        return 0 if is_running(paths_of(resolve_name(name))) else EXIT_NOT_RUNNING
    target = resolve_target(name)
    details = read_details(target.name)
    number_workers([details])
    details = _narrowed(details, target)
    if as_json:
        Output.for_results().json(details)
    else:
        print_details(details, namespace_of(target.name), Output.for_results())
    return 0


def _narrowed(details: AppDetails, target: Target) -> AppDetails:
    """Return what is known of the workers that are meant."""
    if not target.workers:
        return details
    workers = [worker for worker in details.workers if worker.id in target.workers]
    exits = [ended for ended in details.last_exits if ended.worker_id in target.workers]
    return msgspec.structs.replace(details, workers=workers, last_exits=exits)
