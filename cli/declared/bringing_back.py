"""Owns what becomes of apps that had to be stopped to be started anew, and did not start: they run again as before.

Runs in the user's shell. Of an app whose former settings do not start either it is said that it is down.
"""

from collections.abc import Mapping, Sequence

import msgspec

from ...supervisor.errors import FastlbError
from ...supervisor.settings.app_config import AppConfig
from .plan import Step
from .starting import Outcome, start_all

RUNS_AGAIN = "; it runs again with the settings of before"
IS_DOWN = "; nor does it start with the settings of before: it is down"


def bring_back(
    steps: Sequence[Step], former: Mapping[str, AppConfig], outcomes: Mapping[str, Outcome]
) -> dict[str, FastlbError]:
    """Start apps as they were that were stopped for a start which failed; return for each of them how it ended.

    Args:
        steps: what was done.
        former: the settings of those apps that were stopped, by name.
        outcomes: of the starts.
    """
    failures = {name: end for name, end in outcomes.items() if name in former and isinstance(end, FastlbError)}
    again = [
        msgspec.structs.replace(step.wanted, config=former[step.name], origins={})
        for step in steps
        if step.wanted and step.name in failures
    ]
    ended = start_all(again, wait=True)
    return {name: _told(failures[name], second) for name, second in ended.items()}


def _told(failure: FastlbError, second: Outcome) -> FastlbError:
    what = IS_DOWN if isinstance(second, FastlbError) else RUNS_AGAIN
    return FastlbError(failure.message + what, details=failure.details, exit_code=failure.exit_code)
