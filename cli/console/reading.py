"""Owns asking apps for all that the page shows. Runs in the user's shell, in threads; it changes nothing."""

from collections.abc import Sequence

from ...supervisor.control.client import NotRunning, OtherVersion
from ...supervisor.control.protocol import AppMetrics
from ...supervisor.errors import FastlbError
from ..apps import ANSWER_SECONDS, AppState, connected, read_state
from ..parallel import ask_each


def read_apps(names: Sequence[str]) -> list[AppState]:
    """Return all that is known of apps, counters as well; running ones are asked at the same time."""
    return [answer for answer in ask_each(_read, names) if isinstance(answer, AppState)] if names else []


def _read(name: str) -> AppState:
    try:
        with connected(name, ANSWER_SECONDS) as client:
            answer: AppMetrics = client.call("metrics")
            return AppState(answer)
    except (NotRunning, OtherVersion):
        return read_state(name)
    except FastlbError as error:
        state = read_state(name)
        return AppState(state.entry, state.problem or error.message)
