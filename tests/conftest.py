"""Owns what every test may ask for: an installation, repeatable randomness, the guard against leaks."""

import gc
import os
import random
import signal
from collections.abc import Generator, Iterator

import pytest
from fastlb.supervisor.settings.variables import option_variables

from tests.support import processes
from tests.support.fastlb_process import Fastlb
from tests.support.machine_lock import turn
from tests.support.waiting import scaled, wait_until

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Prepare this process: the time of a whole test is stretched (pytest-xdist hands it on), no signal ignored.

    What the tests start buffers its output as a user's would, and has the settings that it is given, whatever the
    machine's own environment says.
    """
    for variable in (*option_variables(), "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS"):
        os.environ.pop(variable, None)
    os.environ.pop("PYTHONUNBUFFERED", None)
    if config.option.timeout is None and "PYTEST_TIMEOUT" not in os.environ:
        config.option.timeout = scaled(float(config.getini("timeout")))
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            # Under nohup, or in the background of a script, every app would ignore it too. A handler does not survive
            # an exec, and protects us as well.
            signal.signal(number, lambda _number, _frame: None)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write down how the run ended, for .ci/run-again: one that was cut off has not shown all that fails."""
    cache = getattr(session.config, "cache", None)
    if cache is not None and not hasattr(session.config, "workerinput"):
        cache.set("fastlb/exit_status", int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run alone come last, when there are no others to wait for any more."""
    items.sort(key=is_alone)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run the test when it is its turn; the timer of the test starts then."""
    with turn(alone=is_alone(item)):
        return (yield)


def is_alone(item: pytest.Item) -> bool:
    """Whether the test is marked as one that bears no other test beside it."""
    return item.get_closest_marker("alone") is not None


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
    """A generator whose seed is printed, so that a failure can be run again: pytest --randomly-seed=SEED."""
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
