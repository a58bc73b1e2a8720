"""`scale` in every spelling, under load."""

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import wait_until


@pytest.mark.parametrize("keep_alive", [False, True], ids=["new-connections", "keep-alive"])
def test_no_request_fails_while_scaling_up_and_down(fastlb: Fastlb, keep_alive: bool) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    with LoadProcess(Plan(address=app.address, keep_alive=keep_alive)) as load:
        for size in (6, 1):
            load.wait_for(100)
            app.ok("scale", str(size))
            app.wait_online(size)
        load.wait_for(100)
    assert load.report.failed == 0, load.report


def test_relative_scaling_keeps_the_oldest_ids(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    before = app.worker_pids
    app.ok("scale", "+2")
    app.wait_online(4)
    assert app.worker_pids[:2] == before
    app.ok("scale", "-2")
    app.wait_online(2)
    assert app.worker_pids == before


def test_new_worker_takes_its_share_at_once(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    app.ok("scale", "2")
    seen: set[int] = set()

    def both_have_answered() -> bool:
        seen.add(app.get().json()["worker"])
        return seen == {0, 1}

    wait_until(both_have_answered, "both answer")


@pytest.mark.parametrize("size", ["0", "-1", "1000000", "many", "+0x", "auto"])
def test_senseless_size_is_refused_and_changes_nothing(fastlb: Fastlb, size: str) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    before = app.worker_pids
    result = fastlb.cli("scale", "app", size)
    assert result.returncode in (1, 2)
    assert result.stderr.strip(), "a message says what is wrong"
    assert app.worker_pids == before
