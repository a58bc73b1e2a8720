"""The matrix: an app on every Python framework is found out, served by every worker, streams, and is reloaded."""

from pathlib import Path

import pytest

from tests.support.client import get
from tests.support.fastlb_process import App, Fastlb
from tests.support.python_frameworks import FRAMEWORKS, Framework
from tests.support.waiting import wait_until

# A free worker may not be skipped because this machine was slow for 5 ms.
OPTIONS = ("--workers", "2", "--handover-timeout", "5")


def assert_every_worker_answers(app: App) -> None:
    """Ask until each worker has answered: one that is still busy with its last client gets no other."""

    def have_answered() -> bool:
        answer = get(app.address, "/hello")
        assert (answer.status, answer.body) == (200, b"hello")
        return all(worker["requests"] for worker in app.entry()["workers"])

    wait_until(have_answered, "both have answered")


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=[framework.title for framework in FRAMEWORKS])
def test_app_is_served_by_every_worker_and_reloaded(fastlb: Fastlb, tmp_path: Path, framework: Framework) -> None:
    (tmp_path / "framework_app.py").write_text(framework.source)
    app = fastlb.start("framework_app:app", "--cwd", str(tmp_path), *OPTIONS)
    assert_every_worker_answers(app)
    if framework.streams:
        body = get(app.address, "/parts").body
        assert body.index(b"one") < body.index(b"two")
    before = set(app.worker_pids)
    app.ok("reload")
    app.wait_online(2)
    wait_until(lambda: not before & set(app.worker_pids), "the old workers have ended")
    assert_every_worker_answers(app)
    app.ok("stop")
    assert "Traceback" not in app.log("error")
