"""`fastlb metrics`: all figures, for monitoring. Runs in the user's shell."""

import click

from ...supervisor.control.client import NotRunning, OtherVersion
from ...supervisor.control.protocol import AppMetrics
from ...supervisor.errors import FastlbError
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..apps import ANSWER_SECONDS, AppState, connected, read_state
from ..options import AppCommand, complete_names
from ..output import Output
from ..parallel import ask_each
from ..targets import resolve_names

EXAMPLES = ("fastlb metrics", "fastlb metrics shop | grep worker_requests")


@click.command("metrics", cls=AppCommand, examples=EXAMPLES, short_help="Print all figures as OpenMetrics text.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
def command(names: tuple[str, ...]) -> None:
    """Print the figures of every app, running or stopped, as OpenMetrics text, which Prometheus reads.

    docs/metrics.md has all of them. Nothing is measured for it: workers and dispatcher are not asked.
    """
    from ..metrics.exposition import metrics_text

    wanted = resolve_names(names) if names else list_apps(default_home())
    states = [answer for answer in ask_each(_read, wanted) if isinstance(answer, AppState)]
    for state in states:
        if state.problem:
            Output.for_errors().warning(state.problem)
    text = metrics_text([state.entry for state in states]).decode()
    Output.for_results().line(text.removesuffix("\n"))


def _read(name: str) -> AppState:
    """Return all that is known of one app. Never raises for one that is stopped, stuck or of another version."""
    try:
        with connected(name, ANSWER_SECONDS) as client:
            answer: AppMetrics = client.call("metrics")
            return AppState(answer)
    except (NotRunning, OtherVersion):
        return read_state(name)
    except FastlbError as error:
        state = read_state(name)
        return AppState(state.entry, state.problem or f"{name}: not all figures: {error.message}")
