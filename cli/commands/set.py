"""`fastlb set`: other settings for the next workers. Runs in the user's shell."""

import click

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import SetParams
from ...supervisor.errors import FastlbError, UsageError
from ...supervisor.home.app_lock import AppLock
from ...supervisor.home.stored_config import load_config, save_config
from ...supervisor.kinds import traits_of
from ...supervisor.processes.working_directory import name_of_directory
from ...supervisor.settings.changes import changed_config, changed_names
from ...supervisor.settings.declared import check_config
from ..apps import paths_of
from ..operations import do_each, operate
from ..options import AppCommand, complete_names, json_answers
from ..targets import resolve_name

EXAMPLES = (
    "fastlb set shop max_memory_restart=500M kill_timeout=1m",
    "fastlb set shop env.LOG_LEVEL=debug && fastlb reload shop",
    "fastlb set shop --unset env.LOG_LEVEL --unset kill_timeout",
)


@click.command("set", cls=AppCommand, examples=EXAMPLES, short_help="Change settings; a reload applies them.")
@click.argument("name", shell_complete=complete_names)
@click.argument("assignments", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--unset", multiple=True, metavar="KEY", help="Bring the default of a setting back, or remove env.NAME.")
@json_answers
def command(name: str, assignments: tuple[str, ...], unset: tuple[str, ...]) -> int:
    """Change settings of an app: `fastlb reload` starts workers that have them, without losing a request.

    KEY is a setting by its name in the configuration (max_memory_restart), or env.NAME for one variable. VALUE is
    written as behind the option; of a list, as words for a shell. What takes a stop and a start is refused.
    """
    if not assignments and not unset:
        raise UsageError("fastlb set: say what to change: KEY=VALUE, or --unset KEY")
    params = SetParams(assignments=[_settled(text) for text in assignments], unset=list(unset))
    return do_each(lambda name: _set(name, params), [resolve_name(name)])


def _settled(assignment: str) -> str:
    """Return an assignment that means the same from another directory."""
    name, _, value = assignment.partition("=")
    return f"{name}={name_of_directory(value)}" if name == "cwd" and value else assignment


def _set(name: str, params: SetParams) -> str:
    try:
        return operate(name, "set", params)
    except NotRunning:
        return _set_stopped(name, params)


def _set_stopped(name: str, params: SetParams) -> str:
    """Change what a stopped app will be started with. Return a sentence.

    Raises:
        FastlbError: it is being started, or what is stored is damaged.
    """
    paths = paths_of(name)
    lock = AppLock.acquire(paths)
    if lock is None:
        raise FastlbError(f"{name} is being started: try again")
    try:
        before = load_config(paths)
        config = changed_config(before, params.assignments, params.unset)
        if config.name != name:
            raise UsageError(f"{name} has its name already: `fastlb delete {name}` and start its target anew")
        check_config(config, traits_of(config))
        save_config(paths, config)
    finally:
        lock.release()
    names = ", ".join(changed_names(before, config))
    return f"{names}: for the next `fastlb start {name}`" if names else "nothing was changed: it is so already"
