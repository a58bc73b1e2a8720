"""Owns the form in which a kind of worker says what is particular to it. Pure; any process.

What a kind says stands in its own folder (python/traits.py for one); supervisor/kinds.py has the list. Nothing outside
the folder of a kind, the list and settings/targets.py asks which kind it has before it: it asks for a trait.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from .targets import AppKind

if TYPE_CHECKING:
    from .app_config import AppConfig

Mode = Literal["cluster", "fork"]
# What becomes of the old worker when a new one takes its place: it goes when the new one serves, or it goes first,
# because both cannot run at the same time.
Replacing = Literal["new-first", "old-first"]
# What a restart waits for before it starts new workers: the old ones get no connections any more, or are gone, because
# what they hold is needed.
RestartsWhenOld = Literal["out", "gone"]


class WorkerTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What is particular to the workers of a kind.

    Attributes:
        kind: its name in settings/targets.py.
        title: its name for people: "this is for TITLE apps".
        runtime: what makes its runtime, "module:name": only a supervisor imports it (workers/runtime.py).
        check: raises FastlbError for an app of which no worker could start here; may take long.
        mode: the word in `list`.
        default_bind: where an app listens that was not told where; empty: its workers decide.
        needs_dispatcher: its workers are handed their connections by one.
        finishes_through_dispatcher: its workers are told to finish by the dispatcher, which must outlive them.
        replacing: what a reload does first.
        replacing_on_listeners: the same for an app that has listeners of ours, which outlive its workers.
        restarts_when_old: what a restart waits for.
        default_credit: `credit` when it is not given.
        bounded_by_descriptors: a worker gets no more connections than its descriptor limit allows, because it cannot
            say itself that it has none left.
        counts_requests: a worker counts its requests and errors.
        tells_own_metrics: a worker is asked by message for what its app counts; else that is in files (metrics_app).
        is_ready_by_living: nobody sees whether a worker serves: it is ready when it has lived for `settle`, if nothing
            else is wanted.
        works_before_ready: a worker that is not ready yet may be at work: it is stopped as patiently as a ready one.
        without_meaning: settings for every kind that mean nothing to this one, by name.
        not_serving, not_said: what a worker has failed to do that is not ready in time.
        abort_signal: ends a worker that hangs or never becomes ready, and shows where, if it can.
    """

    kind: AppKind
    title: str
    runtime: str
    check: "Callable[[AppConfig], None]"
    mode: Mode = "cluster"
    default_bind: tuple[str, ...] = ()
    needs_dispatcher: bool = True
    finishes_through_dispatcher: bool = False
    replacing: Replacing = "new-first"
    replacing_on_listeners: Replacing = "new-first"
    restarts_when_old: RestartsWhenOld = "gone"
    default_credit: int = 1
    bounded_by_descriptors: bool = False
    counts_requests: bool = False
    tells_own_metrics: bool = False
    is_ready_by_living: bool = False
    works_before_ready: bool = False
    without_meaning: tuple[str, ...] = ()
    not_serving: str = "was not ready"
    not_said: str = "did not say that it is ready"
    abort_signal: str = "SIGABRT"
