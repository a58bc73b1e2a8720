"""Owns the decision which mode and how many workers an app should have: the tree of guides to PM2. Pure; the shell.

    Does it answer HTTP? -- no --> fork
      yes: is it stateless? -- no --> fork, one process
        yes: more than 500 requests a second? -- no --> fork, one process
          yes: cluster

One process in fork mode is one worker in cluster mode here, whose port stays open during a reload: what serves HTTP is
advised that.
"""

from typing import Literal

import msgspec

MANY_REQUESTS = 500  # a second


class Situation(msgspec.Struct, frozen=True):
    """What is known of an app.

    Attributes:
        serves_http: whether it answers HTTP.
        is_stateless: whether any process may answer any request; None: not known.
        requests_per_second: that are expected, or were measured.
        can_be_cluster: it can be served in cluster mode: an app of Python, a script of Node's.
    """

    serves_http: bool
    is_stateless: bool | None
    requests_per_second: float
    can_be_cluster: bool = True


class Advice(msgspec.Struct, frozen=True):
    """What is advised. `workers`: 0: one for each CPU (`max`). `reasons`: a sentence for each branch of the tree."""

    exec_mode: Literal["cluster", "fork"]
    workers: int
    reasons: list[str]


def advise(situation: Situation) -> Advice:
    """Return the mode and number of workers for an app, and why."""
    if not situation.serves_http:
        return Advice("fork", 1, ["it does not answer HTTP, so there is nothing to share out: fork mode, one process"])
    reasons = ["it answers HTTP"]
    if not situation.is_stateless:
        reasons.append(
            "it keeps state in the process, or that is not known, so one process must see every request"
        )
        return _one_process(situation, reasons)
    reasons.append("any process may answer any request")
    rate = f"{situation.requests_per_second:.4g} requests a second"
    if situation.requests_per_second <= MANY_REQUESTS:
        reasons.append(f"{rate} are not more than {MANY_REQUESTS}, which one process can do")
        return _one_process(situation, reasons)
    reasons.append(f"{rate} are more than {MANY_REQUESTS}")
    if not situation.can_be_cluster:
        return Advice("fork", 1, [*reasons, "but it is a program that listens itself, which only fork mode starts"])
    return Advice("cluster", 0, [*reasons, "so every CPU gets a worker, behind one port: cluster mode"])


def _one_process(situation: Situation, reasons: list[str]) -> Advice:
    if not situation.can_be_cluster:
        return Advice("fork", 1, [*reasons, "so fork mode, one process"])
    kept = "so one worker: what PM2's guides call fork mode, but its port stays open while it is reloaded"
    return Advice("cluster", 1, [*reasons, kept])
