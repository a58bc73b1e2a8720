"""`fastlb signal`: a signal for the workers of an app. Runs in the user's shell."""

import click

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import SignalParams
from ...supervisor.errors import FastlbError, UsageError
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.settings.signal_names import parse_signal
from ..operations import do_each, operate
from ..options import AppCommand, complete_names, json_answers
from ..targets import resolve_target

EXAMPLES = (
    "fastlb signal shop SIGUSR2                # to each worker",
    "fastlb signal shop hup --worker 0",
)


@click.command("signal", cls=AppCommand, examples=EXAMPLES, short_help="Send a signal to the workers of an app.")
@click.argument("name", shell_complete=complete_names)
@click.argument("signal", metavar="SIGNAL", required=False, default="")
@click.option("--worker", type=click.IntRange(min=0), metavar="N", help="The worker of this number alone.")
@json_answers
def command(name: str, signal: str, worker: int | None) -> int:
    """Send SIGNAL, by name or number, to the process of each worker. PM2's order, SIGNAL NAME, is understood.

    All of them get it or none: refused is what a worker has no handler for and would end by, and what would cost
    clients of a served app their requests. The supervisor itself gets nothing.
    """
    if not signal:
        raise UsageError("give the name of an app and a signal: `fastlb signal NAME SIGNAL`")
    if is_in_order_of_pm2(name, signal):
        name, signal = signal, name
    number = parse_signal(signal)
    target = resolve_target(name)
    if worker is None and len(target.workers) == 1:
        (worker,) = target.workers

    def send(name: str) -> str:
        try:
            return operate(name, "signal", SignalParams(number, worker))
        except NotRunning:
            raise FastlbError(f"{name} is stopped, so nobody gets it: `fastlb start {name}`") from None

    return do_each(send, [target.name])


def is_in_order_of_pm2(first: str, second: str) -> bool:
    """Whether the two words are a signal and the name of an app, in this order."""
    known = list_apps(default_home())
    if first in known or second not in known:
        return False
    try:
        parse_signal(first)
    except UsageError:
        return False
    return True
