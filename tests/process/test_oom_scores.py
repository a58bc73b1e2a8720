"""Whom the kernel is to end when memory runs out: a worker, before supervisor and dispatcher."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fastlb_process import COMMAND, App, Fastlb

CAP_SYS_RESOURCE = 24
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
# Runs the rest of the command line without the right to lower a score, if it had it.
WITHOUT_RIGHT = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_CAPBSET_DROP}, {CAP_SYS_RESOURCE}, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def score_of(pid: int | str) -> int:
    """Return what is added to the score by which the kernel chooses."""
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def may_lower() -> bool:
    """Whether this process may lower any score."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_RESOURCE & 1)


def keeps_right_at_exec() -> bool:
    """Whether a program that root starts has the right as well."""
    return bool(ctypes.CDLL(None).prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0))


@contextmanager
def own_score(score: int) -> Iterator[None]:
    """Have what is started in the context inherit this score; one may raise one's own, and take that back."""
    own = Path("/proc/self/oom_score_adj")
    before = own.read_text()
    own.write_text(str(score))
    try:
        yield
    finally:
        own.write_text(before)


def scores_of(app: App) -> tuple[int, int, set[int]]:
    """Return the scores of supervisor, dispatcher and workers."""
    return score_of(app.supervisor_pid), score_of(app.dispatcher_pid), {score_of(pid) for pid in app.worker_pids}


def test_workers_are_ended_before_supervisor_and_dispatcher(fastlb: Fastlb) -> None:
    before = score_of("self")
    with own_score(before + 600):
        app = fastlb.start("asgi_probe:app", "--workers", "2")
    # It came from a lower one, so no privilege is needed to lower it again.
    assert scores_of(app) == (before + 100, before + 100, {before + 800})
    app.ok("reload")
    assert {score_of(pid) for pid in app.worker_pids} == {before + 800}


def test_highest_score_is_not_exceeded(fastlb: Fastlb) -> None:
    with own_score(1000):
        app = fastlb.start("asgi_probe:app")
    assert scores_of(app) == (500, 500, {1000})


def test_score_that_may_not_be_lowered_stays(fastlb: Fastlb) -> None:
    before = score_of("self")
    arguments = ("start", "asgi_probe:app", "--name", "app", "--bind", "127.0.0.1:0")
    fastlb.run_program(sys.executable, "-c", WITHOUT_RIGHT, str(COMMAND), *arguments)
    assert scores_of(fastlb.app()) == (before, before, {before + 200})


@pytest.mark.skipif(not (may_lower() and keeps_right_at_exec()), reason="needs CAP_SYS_RESOURCE")
def test_score_is_lowered_with_the_right_to_do_so(fastlb: Fastlb) -> None:
    before = score_of("self")
    app = fastlb.start("asgi_probe:app")
    assert scores_of(app) == (max(before - 500, -999), max(before - 500, -999), {before + 200})
