"""Owns asking apps for all that they count. Runs in the user's shell; it changes nothing."""

from collections.abc import Sequence
from functools import partial

from ...supervisor.control.client import NotRunning, OtherVersion
from ...supervisor.control.protocol import AppMetrics, MetricsParams
from ...supervisor.errors import FastlbError
from ..apps import ANSWER_SECONDS, AppState, connected, read_state
from ..parallel import ask_each


def read_metrics(names: Sequence[str], *, own: bool = False) -> list[AppState]:
    """Return all that is known of each app; those that run are asked at the same time, and answer AppMetrics.

    Args:
        names: of the apps.
        own: with what they count themselves (metrics_app), which takes longer.
    """
    return [answer for answer in ask_each(partial(read_app, own=own), names) if isinstance(answer, AppState)]


def read_app(name: str, *, own: bool = False) -> AppState:
    """Return all that is known of one app. Never raises for one that is stopped, stuck or of another version."""
    try:
        with connected(name, ANSWER_SECONDS) as client:
            answer: AppMetrics = client.call("metrics", MetricsParams(own))
            return AppState(answer)
    except (NotRunning, OtherVersion):
        return read_state(name)
    except FastlbError as error:
        state = read_state(name)
        return state if state.problem else AppState(state.entry, f"{name}: not all figures: {error.message}")
