"""`fastlb advise`: which mode an app should have, by its load. Runs in the user's shell."""

import time

import click
import msgspec

from ...supervisor.control.protocol import AppDetails
from ...supervisor.errors import FastlbError
from ...supervisor.home.app_lock import is_running
from ...supervisor.settings.quantities import parse_duration
from ..apps import paths_of, read_details, resolve_name
from ..decision_tree import Advice, Situation, advise
from ..options import AppCommand, complete_names, json_option
from ..output import Output

EXAMPLES = ("fastlb advise shop --stateless", "fastlb advise shop --stateful --for 30s")


class Load(msgspec.Struct, frozen=True):
    """What was measured: `counted`, requests or connections, `per_second`; of one CPU `cpu_percent`."""

    counted: str
    per_second: float
    cpu_percent: float


class AdvisedApp(msgspec.Struct):
    """The result of `advise --json`. `workers`: 0: one for each CPU."""

    name: str
    exec_mode: str
    workers: int
    reasons: list[str]
    load: Load


@click.command("advise", cls=AppCommand, examples=EXAMPLES, short_help="Say which mode an app should have.")
@click.argument("name", shell_complete=complete_names)
@click.option("--stateless/--stateful", default=None, help="Whether any process may answer any request.")
@click.option("--for", "duration", default="2s", metavar="DURATION", help="How long the load is measured; default 2s.")
@json_option
def command(name: str, stateless: bool | None, duration: str, as_json: bool) -> None:
    """Say which mode and how many workers an app should have: the decision tree of guides to PM2 on its present load.

    Whether it is stateless cannot be measured: say it, or the answer is for an app that is not.
    """
    if not is_running(paths_of(resolve_name(name))):
        raise FastlbError(f"{name} is stopped, so it has no load: `fastlb start {name}`")
    load, details = _measured(name, _seconds(duration))
    serves = details.mode == "cluster"
    advice = advise(Situation(serves, stateless, load.per_second))
    if as_json:
        advised = AdvisedApp(name, advice.exec_mode, advice.workers, advice.reasons, load)
        Output.for_results().json(advised)
    else:
        _show(details, load, advice)


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise FastlbError(f"fastlb advise --for: {error}", exit_code=2) from None


def _measured(name: str, seconds: float) -> tuple[Load, AppDetails]:
    before, begun = read_details(name), time.monotonic()
    time.sleep(seconds)
    after, elapsed = read_details(name), time.monotonic() - begun
    counted, count = _count(after)
    rate = (count - _count(before)[1]) / elapsed if elapsed else 0.0
    cpu = sum(worker.cpu_percent for worker in after.workers)
    return Load(counted, max(rate, 0.0), cpu), after


def _count(details: AppDetails) -> tuple[str, float]:
    """What is counted of the app: its requests, or its connections where nobody counts requests."""
    requests = [worker.requests for worker in details.workers if worker.requests is not None]
    if requests:
        return "requests", sum(requests)
    return "connections", float(details.dispatcher.get("accepted", 0))


def _show(details: AppDetails, load: Load, advice: Advice) -> None:
    output = Output.for_results()
    workers = str(advice.workers) if advice.workers else "max (one for each CPU)"
    output.line(f"{details.name} runs in {details.mode} mode with workers = {len(details.workers)}")
    output.line(f"load: {load.per_second:.4g} {load.counted} a second, {load.cpu_percent:.0f}% of one CPU")
    for reason in advice.reasons:
        output.line(f"  {reason}")
    output.line(f'advice: exec_mode = "{advice.exec_mode}", workers = {workers}')
