"""Owns what every test may ask for: an installation, repeatable randomness, the guard against leaks."""

import gc
import os
import random
from collections.abc import Generator, Iterator

import pytest

from tests.support import processes
from tests.support.fastlb_process import Fastlb
from tests.support.waiting import wait_until

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test failed, so that its teardown can show the logs."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture
def rng() -> random.Random:
    """A generator whose seed is printed, so that a failure can be run again: pytest -p randomly -p SEED."""
    seed = random.getrandbits(32)
    print(f"rng seed: {seed}")
    return random.Random(seed)


@pytest.fixture
def fastlb(request: pytest.FixtureRequest) -> Iterator[Fastlb]:
    """An installation in a home of its own; at the end nothing of it may be left."""
    installation = Fastlb()
    yield installation
    failed = request.node.stash.get(FAILED, False)
    if failed:
        print(installation.logs_text())
    installation.close(check=not failed)


@pytest.fixture
def leak_guard() -> Iterator[None]:
    """No child process and no descriptor of the test process is left by the test."""
    gc.collect()
    fds_before = processes.open_fds(os.getpid())
    children_before = set(processes.children(os.getpid()))
    yield
    gc.collect()
    wait_until(lambda: set(processes.children(os.getpid())) <= children_before, "no child process is left")
    left = processes.open_fds(os.getpid()).items() - fds_before.items()
    assert len(processes.open_fds(os.getpid())) <= len(fds_before), f"descriptors left open: {sorted(left)}"
