"""`fastlb alerts`: what is wrong, and who is told. Runs in the user's shell."""

from collections.abc import Sequence

import click
import msgspec

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import AlertsParams, AlertsReport
from ...supervisor.errors import EXIT_FAILURE, FastlbError, UsageError
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home
from ...supervisor.settings.quantities import check_unit_is_clear, parse_duration
from ..apps import connected
from ..options import AppCommand, complete_names, json_option
from ..output import Output
from ..parallel import ask_each
from ..targets import resolve_names

EXAMPLES = (
    "fastlb alerts                       # what is on, of all apps",
    "fastlb alerts show shop",
    "fastlb alerts test shop             # everybody is told that nothing is wrong",
    "fastlb alerts silence 1h shop       # nobody is told for an hour",
    "fastlb alerts silence off",
)
# Longer than one try to tell somebody may take.
TEST_SECONDS = 90.0
OFF = "off"


class AppAlerts(AlertsReport, kw_only=True):
    """What is wrong with one app, in `alerts --json`; the rest as AlertsReport."""

    app: str


@click.command("alerts", cls=AppCommand, examples=EXAMPLES, short_help="Show what is wrong; test, silence.")
@click.argument("words", metavar="[show|test|silence DURATION] [NAME...]", nargs=-1, shell_complete=complete_names)
@json_option
def command(words: tuple[str, ...], as_json: bool) -> int:
    """Show the alerts that are on, and who is told of them, of all apps that run or those that are named.

    `test` tells everybody that nothing is wrong, at once, and says who has taken it: the exit code is 1 if somebody has
    not, or if there is nobody. `silence` has nobody told for so long, through restarts; `off` ends it. What is still on
    then is told.
    """
    params, names = parse(words)
    wanted = resolve_names(names) if names else list_apps(default_home())
    running, silent, is_complete = _reports(params, wanted)
    if as_json:
        Output.for_results().json([_of_app(name, report) for name, report in running.items()])
    else:
        _print(running, silent if names else (), params)
    is_taken = params.action != "test" or is_heard(running, names)
    return 0 if is_taken and is_complete else EXIT_FAILURE


def is_heard(reports: dict[str, AlertsReport], names: Sequence[str]) -> bool:
    """Whether everybody who is to be told has taken the test; each app of `names` must have somebody, or else any."""
    heard = {name for name, report in reports.items() if report.channels}
    is_told = heard.issuperset(resolve_names(names)) if names else bool(heard)
    return is_told and not any(channel.problem for report in reports.values() for channel in report.channels)


def parse(words: tuple[str, ...]) -> tuple[AlertsParams, tuple[str, ...]]:
    """Return what is asked for, and of which apps; none: of all.

    Raises:
        UsageError: a silence without its length.
    """
    if words[:1] == ("silence",):
        if len(words) < 2:
            raise UsageError("fastlb alerts silence: for how long? 1h, for one, or off")
        return AlertsParams("silence", _seconds(words[1])), words[2:]
    if words[:1] == ("test",):
        return AlertsParams("test"), words[1:]
    return AlertsParams("show"), words[1:] if words[:1] == ("show",) else words


def _seconds(text: str) -> float:
    if text == OFF:
        return 0.0
    try:
        check_unit_is_clear(text)
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"fastlb alerts silence: {error}") from None


def _reports(params: AlertsParams, names: list[str]) -> tuple[dict[str, AlertsReport], list[str], bool]:
    """Return what each app says that runs, the names of those that do not, and whether all others have answered.

    Why one has not is shown.
    """
    found: dict[str, AlertsReport] = {}

    def ask(name: str) -> str:
        with connected(name, TEST_SECONDS) as client:
            found[name] = client.call("alerts", params)
        return ""

    answers = ask_each(ask, names)
    silent = [name for name, answer in zip(names, answers, strict=True) if isinstance(answer, NotRunning)]
    failures = [one for one in answers if isinstance(one, FastlbError) and not isinstance(one, NotRunning)]
    for failure in failures:
        Output.for_errors().error(failure.message)
    return {name: found[name] for name in names if name in found}, silent, not failures


def _of_app(name: str, report: AlertsReport) -> AppAlerts:
    return AppAlerts(app=name, **{field: getattr(report, field) for field in msgspec.structs.asdict(report)})


def _print(reports: dict[str, AlertsReport], silent: Sequence[str], params: AlertsParams) -> None:
    """Print what apps say; `silent`: those that were named and do not run."""
    output = Output.for_results()
    for name in silent:
        Output.for_errors().line(f"{name} does not run, and tells nothing: `fastlb start {name}`")
    if not reports and not silent:
        Output.for_errors().line("no app runs, and who does not run tells nothing")
    for name, report in reports.items():
        for line in lines_of(name, report, is_test=params.action == "test"):
            output.line(f"{name}: {line}")


def lines_of(name: str, report: AlertsReport, *, is_test: bool) -> list[str]:
    """Return what is said of the app `name`."""
    if not report.is_watched:
        lines = [f"nothing is looked at: `fastlb set {name} alerts=on`, then `fastlb reload {name}`"]
        return lines + _silence_of(report)
    lines = [f"{alert.name} since {alert.began_at}: {alert.text}" for alert in report.on] or ["nothing is wrong"]
    taken = "has taken it" if is_test else "is told"
    for channel in report.channels:
        lines.append(f"{channel.title} {'takes nothing: ' + channel.problem if channel.problem else taken}")
    if not report.channels:
        lines.append("nobody is told: give --alert-email, --alert-webhook or --alert-command")
    return lines + _silence_of(report)


def _silence_of(report: AlertsReport) -> list[str]:
    return [f"nobody is told until {report.silent_until}"] if report.silent_until else []
