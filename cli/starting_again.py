"""Owns starting what was started before, where `start` is told `all`, a pattern or the number of a worker.

Runs in the user's shell.
"""

from collections.abc import Sequence

from ..supervisor.control.client import NotRunning
from ..supervisor.control.protocol import WorkersParams
from ..supervisor.home.app_lock import is_running
from ..supervisor.home.stored_config import load_config
from ..supervisor.kinds import traits_of
from ..supervisor.settings.declared import check_config
from .apps import paths_of
from .launching import launch
from .operations import do_each, operate
from .targets import Target, resolve_targets


def is_word_for_several(word: str) -> bool:
    """Whether `start` is told whom to start as other commands are, and not what."""
    is_pattern = len(word) > 2 and word.startswith("/") and word.endswith("/")
    return word == "all" or word.isdigit() or is_pattern


def start_again(word: str) -> int:
    """Start the apps, or the worker, that `word` means, and that do not run. Return the exit code.

    Raises:
        FastlbError: it means nobody.
    """
    targets = {target.name: target for target in resolve_targets([word])}
    return do_each(lambda name: _start(targets[name]), list(targets))


def start_stopped(name: str, only: Sequence[int] = ()) -> str:
    """Start an app as it was started last; `only`: these of its workers, empty: all. Return a sentence.

    Raises:
        FastlbError: it did not start.
    """
    config = load_config(paths_of(name))
    check_config(config, traits_of(config))
    others = [number for number in range(config.workers) if number not in only]
    stopped = others[: max(config.workers - len(only), 0)] if only else []
    text = launch(config, stopped=stopped).text.removeprefix(f"{name} ")
    if not stopped:
        return text
    stay = "worker {} stays" if len(stopped) == 1 else "workers {} stay"
    return f"{text}; {stay.format(', '.join(map(str, stopped)))} stopped"


def _start(target: Target) -> str:
    name = target.name
    if target.workers:
        try:
            return operate(name, "workers", WorkersParams("start", list(target.workers)))
        except NotRunning:
            return start_stopped(name, target.workers)
    return "runs already" if is_running(paths_of(name)) else start_stopped(name)
