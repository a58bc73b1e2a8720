"""New code of a Node app on trial: nobody counts its requests, so it is judged by its life."""

from tests.support.fastlb_process import Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import start_node


def test_node_canary_that_lives_goes_on(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js")
    before = set(app.worker_pids)
    with LoadProcess(Plan(address=app.address)) as load:
        found = fastlb.cli("canary", "app", "--for", "1s")
        load.wait_for(50)
    assert (found.returncode, load.report.failed) == (0, 0), (found.stderr, load.report)
    assert "nobody counts its requests" in found.stdout
    app.wait_online(2)
    assert not before & set(app.worker_pids)
