"""What programs that a Node app starts inherit of its worker: nothing but its standard streams."""

from functools import partial
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.client import get
from tests.support.fastlb_process import Fastlb
from tests.support.node_driver import start_node
from tests.support.node_packages import NODE_VERSIONS
from tests.support.waiting import wait_until

VERSIONS = pytest.mark.parametrize(
    "node_major", NODE_VERSIONS, indirect=True, ids=[f"node-{major}" for major in NODE_VERSIONS]
)


@VERSIONS
def test_programs_of_an_app_hold_nothing_of_the_worker_and_do_not_delay_its_end(
    fastlb: Fastlb, node_major: Path
) -> None:
    app = start_node(fastlb, "starts_programs.js", "--interpreter", str(node_major), "--kill-timeout", "600", workers=1)
    (worker,) = app.worker_pids
    programs = get(app.address).json()
    for program in programs:
        wait_until(partial(processes.command_line, program), "it runs")
        assert processes.shared_sockets(program, worker) == set(), processes.command_line(program)
        if processes.command_line(program)[0] != str(node_major):
            assert processes.inherited_fds(program) == {}
    app.ok("stop", timeout=20)
    assert "worker_cut_off" not in app.log("supervisor")
    wait_until(lambda: not any(map(processes.is_running, programs)), "they end with their worker")


def test_channel_has_the_number_that_node_gives_it(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", workers=1)
    assert processes.open_fds(app.worker_pids[0])[3].startswith("socket:")
