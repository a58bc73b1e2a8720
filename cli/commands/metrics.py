"""`fastlb metrics`: all figures, for monitoring. Runs in the user's shell."""

import click

from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ..options import AppCommand, complete_names
from ..output import Output
from ..targets import resolve_names

EXAMPLES = (
    "fastlb metrics",
    "fastlb metrics shop | grep worker_requests",
    "fastlb metrics --bind 9616                 # http://127.0.0.1:9616/metrics",
)


@click.command("metrics", cls=AppCommand, examples=EXAMPLES, short_help="Print all figures as OpenMetrics text.")
@click.argument("names", metavar="[NAME...]", nargs=-1, shell_complete=complete_names)
@click.option("--bind", "-b", metavar="ADDRESS", help="Serve it: HOST:PORT, PORT (127.0.0.1) or unix:PATH.")
def command(names: tuple[str, ...], bind: str | None) -> None:
    """Print the figures of every app, running or stopped, as OpenMetrics text, which Prometheus reads.

    docs/metrics.md has all of them. Nothing is measured for it: workers and dispatcher are not asked.

    With --bind they are served at /metrics until SIGTERM or ^C, for everybody who reaches the address; apps that are
    started later are there as well. One app alone is served by its own supervisor: the setting metrics_bind.
    """
    if bind is None:
        Output.for_results().line(_text(names).decode().removesuffix("\n"))
        return
    from ...supervisor.metrics.server import listening
    from ..metrics.serving import serve

    with listening(bind) as (sock, address):
        Output.for_errors().line(f"metrics are served at {address}")
        Output.for_errors().flush()
        serve(sock, lambda: _text(names))


def _text(names: tuple[str, ...]) -> bytes:
    from ...supervisor.metrics.exposition import metrics_text
    from ...supervisor.sockets.accept_queue import listen_overflows
    from ..metrics.reading import read_metrics

    states = read_metrics(resolve_names(names) if names else list_apps(default_home()), own=True)
    for state in states:
        if state.problem:
            Output.for_errors().warning(state.problem)
    return metrics_text([state.entry for state in states], listen_overflows())
