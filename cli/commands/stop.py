"""`fastlb stop`: stop apps. Runs in the user's shell."""

import functools

import click

from ..operations import do_each_at_once, stop
from ..options import AppCommand, json_answers, names_argument
from ..targets import resolve_targets
from ..worker_operations import names_of, shown_targets, to_targets

EXAMPLES = ("fastlb stop shop", "fastlb stop shop blog", "fastlb stop 3", "fastlb stop all", "fastlb stop '/^api-/'")


@click.command("stop", cls=AppCommand, examples=EXAMPLES, short_help="Stop apps; they stay in the list.")
@names_argument
@click.option("--force", is_flag=True, help="Do not wait for requests that are under way.")
@json_answers
def command(names: tuple[str, ...], force: bool) -> int:
    """Stop apps: their workers finish what they have and exit. NAME may be `all`, /a pattern/, a
    namespace, or the number of a worker, which is stopped alone and keeps its place.

    A stopped app stays in the list, and `fastlb start NAME` starts it again as it was.
    """
    targets = resolve_targets(names)
    do = to_targets(targets, "stop", functools.partial(stop, force=force))
    return do_each_at_once(do, names_of(targets), "stopping", whom=shown_targets(targets))
