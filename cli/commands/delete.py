"""`fastlb delete`: stop and forget. Runs in the user's shell."""

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.home.worker_ids import claim_ids
from ..operations import delete, do_each_at_once
from ..options import AppCommand, json_answers, names_argument
from ..targets import resolve_targets
from ..worker_operations import names_of, shown_targets, to_targets

EXAMPLES = ("fastlb delete shop", "fastlb delete 3", "fastlb delete all")


@click.command("delete", cls=AppCommand, examples=EXAMPLES, short_help="Stop apps and forget them (del, rm).")
@names_argument
@json_answers
def command(names: tuple[str, ...]) -> int:
    """Stop apps and remove them from the list. NAME may be `all`, /a pattern/, a namespace, or the number of a
    worker: then the app has one worker less. Logs stay."""
    targets = resolve_targets(names)
    do = to_targets(targets, "delete", delete)
    code = do_each_at_once(do, names_of(targets), "stopping", whom=shown_targets(targets))
    claim_ids(default_home(), list_apps(default_home()), {})  # a number of what is gone is never meant again
    return code
