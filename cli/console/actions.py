"""Owns what the page may have done to an app: fixed words, none of which names a file or a command to run.

Runs in the user's shell, in threads; what it does is what `fastlb reload`, `restart`, `scale` and `stop` do.
"""

from collections.abc import Callable

import msgspec

from ...supervisor.control.client import NotRunning
from ...supervisor.control.protocol import Done, ReloadParams, RestartParams, ScaleParams
from ...supervisor.errors import FastlbError, UsageError
from ...supervisor.settings.app_config import MAX_WORKERS
from ..apps import connected
from ..operations import OPERATION_ANSWER_SECONDS, stop


class ActionParams(msgspec.Struct, forbid_unknown_fields=True):
    """What a page sends along. `workers`: for `scale` alone: how many there are to be."""

    workers: int | None = None


def _call(name: str, method: str, params: msgspec.Struct) -> str:
    try:
        with connected(name, OPERATION_ANSWER_SECONDS) as client:
            client.wait_for_ever()
            done: Done = client.call(method, params)
            return done.text
    except NotRunning:
        raise FastlbError(f"{name} is stopped: `fastlb start {name}` starts it as it was") from None


def _scale(name: str, params: ActionParams) -> str:
    if params.workers is None or not 1 <= params.workers <= MAX_WORKERS:
        raise UsageError(f"workers: must be 1 to {MAX_WORKERS}")
    return _call(name, "scale", ScaleParams(workers=params.workers))


ACTIONS: dict[str, Callable[[str, ActionParams], str]] = {
    "reload": lambda name, _: _call(name, "reload", ReloadParams()),
    "restart": lambda name, _: _call(name, "restart", RestartParams()),
    "scale": _scale,
    "stop": lambda name, _: stop(name),
}
