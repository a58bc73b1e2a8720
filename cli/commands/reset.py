"""`fastlb reset`: restarts are counted anew. Runs in the user's shell."""

import click

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import ResetParams
from ...supervisor.errors import FastlbError
from ..operations import do_each, operate
from ..options import AppCommand, json_answers, names_argument
from ..targets import resolve_targets

EXAMPLES = ("fastlb reset shop", "fastlb reset 3", "fastlb reset all")


@click.command("reset", cls=AppCommand, examples=EXAMPLES, short_help="Count restarts from 0 again.")
@names_argument
@json_answers
def command(names: tuple[str, ...]) -> int:
    """Set the restarts that `list` shows to 0. NAME may be `all`, /a pattern/, a
    namespace, or the number of a worker, whose restarts alone are counted anew.

    Crashes of before are forgotten with them: the pause before the next restart is the first one again, and
    --max-restarts counts anew. Nothing is started or stopped.
    """

    targets = resolve_targets(names)
    workers = {target.name: list(target.workers) for target in targets}

    def reset(name: str) -> str:
        try:
            return operate(name, "reset", ResetParams(workers[name]))
        except NotRunning:
            raise FastlbError(f"{name} is stopped: its restarts are counted from 0 when it starts") from None

    return do_each(reset, list(workers))
