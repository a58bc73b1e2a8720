"""`fastlb scale`: more workers, or fewer. Runs in the user's shell."""

import click

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import ScaleParams
from ...supervisor.errors import UsageError
from ...supervisor.settings.app_config import MAX_WORKERS
from ...supervisor.settings.declared import declared_settings, parse_setting
from ..operations import do_each, operate, refusal_when_stopped
from ..options import AppCommand, complete_names, json_answers
from ..targets import resolve_whole_app

EXAMPLES = (
    "fastlb scale shop 8",
    "fastlb scale shop +2",
    "fastlb scale shop -2",
    "fastlb scale shop max",
    "fastlb scale shop auto",
)
AUTO = "auto"
# So that -2 is a number and not an option that does not exist.
CONTEXT_SETTINGS = {"ignore_unknown_options": True}


@click.command(
    "scale",
    cls=AppCommand,
    examples=EXAMPLES,
    context_settings=CONTEXT_SETTINGS,
    short_help="Change the number of workers.",
)
@click.argument("name", shell_complete=complete_names)
@click.argument("workers", metavar="N|+N|-N|max|auto")
@json_answers
def command(name: str, workers: str) -> int:
    """Change the number of workers of a running app: to N, by +N or -N, or to the CPUs there are.

    The newest workers go first, after they have finished what they have. Where the load decides how many there are
    (--max-instances), a number holds until `auto`, or until another one is in the configuration file.
    """
    params = parse_amount(workers)

    def scale(name: str) -> str:
        try:
            return operate(name, "scale", params)
        except NotRunning:
            raise refusal_when_stopped(name, "scale") from None

    return do_each(scale, [resolve_whole_app(name)])


def parse_amount(text: str) -> ScaleParams:
    """Return what `text` asks for.

    Raises:
        UsageError: it is no number of workers.
    """
    if text == AUTO:
        return ScaleParams(auto=True)
    digits = text[1:]
    if text[:1] in ("+", "-") and digits.isascii() and digits.isdigit() and len(digits) <= 4:
        change = int(text)
        if 0 < abs(change) <= MAX_WORKERS:
            return ScaleParams(change=change)
    setting = next(setting for setting in declared_settings() if setting.name == "workers")
    try:
        return ScaleParams(workers=parse_setting(setting, text))
    except ValueError as error:
        others = "+N and -N change the number that there is, auto leaves it to the load"
        raise UsageError(f"fastlb scale: {error}; {others}") from None
