"""Owns doing something to some workers of apps, where commands are told their numbers. Runs in the user's shell."""

from collections.abc import Callable, Sequence

from ..supervisor.control.client import NotRunning
from ..supervisor.control.protocol import WorkersAction, WorkersParams
from ..supervisor.errors import FastlbError
from .operations import operate
from .targets import Target


def names_of(targets: Sequence[Target]) -> list[str]:
    """Return the names of the apps."""
    return [target.name for target in targets]


def shown_targets(targets: Sequence[Target]) -> str:
    """Return whom a command is for, for the display: `blog, worker 3 of shop`."""
    return ", ".join(_shown(target) for target in targets)


def _shown(target: Target) -> str:
    if not target.workers:
        return target.name
    numbers = ", ".join(map(str, target.workers))
    return f"worker{'s' if len(target.workers) > 1 else ''} {numbers} of {target.name}"


def to_targets(
    targets: Sequence[Target], action: WorkersAction, to_app: Callable[[str], str]
) -> Callable[[str], str]:
    """Return what to do for each name: `to_app`, or `action` where only some workers of the app are meant."""
    workers = {target.name: target.workers for target in targets}

    def do(name: str) -> str:
        return to_workers(Target(name, workers[name]), action) if workers[name] else to_app(name)

    return do


def to_workers(target: Target, action: WorkersAction) -> str:
    """Do `action` to the workers that `target` names. Return a sentence.

    Of an app that is stopped they alone are started, where that is what comes of it.

    Raises:
        FastlbError: the app is stopped, or it failed, or was refused.
    """
    name = target.name
    try:
        return operate(name, "workers", WorkersParams(action, list(target.workers)))
    except NotRunning:
        if action in ("start", "restart", "reload"):
            from .starting_again import start_stopped  # which needs more than most commands

            return start_stopped(name, target.workers)
        raise FastlbError(f"{name} is stopped, with all of its workers: `fastlb start {name}` starts them") from None
