"""The matrix: every supported major version of Node runs apps under fastlb, through a reload under load."""

from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import start_node, wait_for_answers_of
from tests.support.node_packages import NODE_VERSIONS

QUICK = ("--settle", "0.2", "--kill-timeout", "3")


@pytest.mark.parametrize("node_major", NODE_VERSIONS, indirect=True, ids=[f"node-{major}" for major in NODE_VERSIONS])
@pytest.mark.parametrize("script", ["http.js", "esm.mjs"])
def test_both_workers_answer_and_a_reload_loses_nothing(fastlb: Fastlb, node_major: Path, script: str) -> None:
    app = start_node(fastlb, script, "--interpreter", str(node_major), *QUICK)
    before = set(app.worker_pids)
    assert wait_for_answers_of(app.address) == before
    assert {Path(f"/proc/{pid}/exe").resolve() for pid in before} == {node_major.resolve()}
    with LoadProcess(Plan(address=app.address, clients=2)) as load:
        load.wait_for(50)
        app.ok("reload")
        load.wait_for(50)
    assert load.report.failed == 0, load.report
    after = set(app.worker_pids)
    assert not before & after
    assert wait_for_answers_of(app.address) == after
    app.ok("stop")
