"""Node workers with an inspector: each has a port of its own, also on a reload, and a debugger may take its time."""

import re

from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb
from tests.support.node_driver import free_port, start_node
from tests.support.waiting import wait_until

QUICK = ("--settle", "0.1")


def ports(app: App) -> list[int]:
    """Of the inspectors that were opened, as Node says on stderr."""
    return [int(port) for port in re.findall(r"Debugger listening on ws://127\.0\.0\.1:(\d+)/", app.log("error"))]


def test_replacement_of_a_worker_that_still_runs_has_the_next_free_port(fastlb: Fastlb) -> None:
    first = free_port()
    app = start_node(fastlb, "http.js", "--node-args", f"--inspect={first}", *QUICK, workers=1)
    with Connection(app.address, timeout=15) as client:
        client.send("/slow?ms=1500", close=True)
        wait_until(lambda: fastlb.requests_begun_and_ended() == (1, 0), "the old worker has a request")
        app.ok("reload")
        wait_until(lambda: len(ports(app)) == 2, "the new one has opened its inspector")
        assert client.receive().status == 200
    second = ports(app)[1]
    assert ports(app) == [first, second]
    assert second > first, "the next ones may be somebody else's"
    assert f"inspector_port worker_id=0 port={second}" in app.log("supervisor")
    assert "address already in use" not in app.log("error")


def test_worker_with_an_inspector_does_not_hang(fastlb: Fastlb) -> None:
    """A breakpoint stops its event loop for as long as somebody looks at it."""
    options = ("--node-args", f"--inspect={free_port()}", "--hang-timeout", "0.5")
    app = start_node(fastlb, "http.js", *options, workers=1)
    with Connection(app.address, timeout=15) as client:
        client.send("/block?ms=2500", close=True)
        assert client.receive().status == 200
    assert "worker_hung" not in app.log("supervisor")
