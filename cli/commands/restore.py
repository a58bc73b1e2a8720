"""`fastlb restore`: the apps of a backup take the place of what runs. Runs in the user's shell."""

import functools
from pathlib import Path

import click
import msgspec

from ...supervisor.home.app_lock import is_running
from ...supervisor.home.known_apps import list_apps
from ...supervisor.home.paths import default_home, prepare_home
from ..apps import paths_of
from ..backup import put_back
from ..operations import Answer, as_answers, do_each_at_once, end
from ..options import AppCommand, json_option
from ..output import Output
from ..parallel import answer_of, ask_each
from ..persistence import resurrect, saved_set

EXAMPLES = ("fastlb restore /backup/shop-2026-01-31",)


class Restored(msgspec.Struct, frozen=True):
    """The result of `restore --json`.

    Attributes:
        files: a sentence for each file of the backup.
        stopped: how it ended for each app that ran before.
        started: how it ended for each app of the backup.
    """

    files: list[str]
    stopped: list[Answer]
    started: list[Answer]


@click.command("restore", cls=AppCommand, examples=EXAMPLES, short_help="Bring back the apps of a backup.")
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, exists=True))
@json_option
def command(directory: str, as_json: bool) -> int:
    """Stop every app, put the files of a backup where they were, and start the apps that ran when it was made.

    A file that has changed since is kept beside it, as FILE.before-restore.
    """
    home = default_home()
    prepare_home(home)
    said = put_back(Path(directory).absolute(), home)
    running = [name for name in list_apps(home) if is_running(paths_of(name))]
    if as_json:
        return _restore_in_json(home, said, running)
    code = do_each_at_once(functools.partial(end, force=False), running, "stopping") if running else 0
    for line in said:
        Output.for_results().line(line)
    return max(code, resurrect(home))


def _restore_in_json(home: Path, files: list[str], running: list[str]) -> int:
    """Do the same, and print how it went as one object; return the exit code."""
    stopped = as_answers(running, ask_each(functools.partial(end, force=False), running))
    names, bring_back = saved_set(home)
    started = as_answers(names, [answer_of(bring_back, name) for name in names])
    Output.for_results().json(Restored(files, stopped, started))
    return max((answer.exit_code for answer in [*stopped, *started]), default=0)
