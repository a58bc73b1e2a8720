"""`list --watch`: the list again when something has happened."""

import itertools
import json
import signal
from typing import Any

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until


def test_pipe_gets_a_line_for_each_change(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    with (fastlb.directory / "watched").open("w+") as written:
        command = fastlb.popen("list", "--watch", "--json", stdout=written)

        def snapshots() -> list[list[dict[str, Any]]]:
            lines = (fastlb.directory / "watched").read_text().splitlines(keepends=True)
            return [json.loads(line) for line in lines if line.endswith("\n")]

        wait_until(snapshots, "it is shown once", 15)
        app.ok("scale", "2")
        wait_until(lambda: len(snapshots()[-1][0]["workers"]) == 2, "the change is shown", 15)
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=scaled(10))
    assert command.returncode == 130
    gists = [gist(found) for found in snapshots()]
    assert all(one != other for one, other in itertools.pairwise(gists)), "figures that move alone are no change"
    assert {found[0]["name"] for found in snapshots()} == {"app"}


def gist(found: list[dict[str, Any]]) -> object:
    """Return what is said of the app without its figures."""
    said = ("id", "pid", "status", "generation", "restarts")
    workers = [[one[name] for name in said] for one in found[0]["workers"]]
    return found[0]["status"], found[0]["target_workers"], found[0]["operations"], workers
