"""Memory that a cgroup limits: who was killed for lack of it is said, and the largest worker goes before that."""

import os
import signal
from pathlib import Path

import pytest
from fastlb.supervisor.lookout import LONGEST_LOOK_INTERVAL

from tests.support.fastlb_process import APPS as PYTHON_APPS
from tests.support.fastlb_process import COMMAND, App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.memory_cgroup import inside, limited_memory
from tests.support.node_packages import APPS as NODE_APPS
from tests.support.waiting import scaled, wait_until

MIB = 1 << 20
# Takes as many MiB as a line of its standard input says.
HOARDER = """
import os, sys
held = []
print("begun", os.environ["NODE_APP_INSTANCE"])
for line in sys.stdin:
    held.append(bytearray(int(line) << 20))
    print("holds", line.strip())
"""


def start_hoarders(fastlb: Fastlb, cgroup: Path, directory: Path, *options: str) -> App:
    """Start two programs that hoard, in the cgroup."""
    (directory / "hoarder.py").write_text(HOARDER)
    command = ("start", str(directory / "hoarder.py"), "--name", "app", "-w", "2", "--settle", "0.1", *options)
    fastlb.run_program(*inside(cgroup, str(COMMAND), *command, "--cwd", str(directory)))
    app = fastlb.app()
    wait_until(lambda: app.log("out").count("begun") == 2, "both have begun")
    return app


def wait_until_looked_at(app: App) -> None:
    """Wait until the supervisor knows what each worker uses when it is new: it looks at least once a second."""

    def age() -> float:
        return min(float(worker["uptime_s"]) for worker in app.entry()["workers"])

    wait_until(lambda: age() > 2 * LONGEST_LOOK_INTERVAL, "everybody was looked at", 10)


def test_worker_that_the_kernel_ended_for_lack_of_memory_is_known(fastlb: Fastlb, tmp_path: Path) -> None:
    with limited_memory(200 * MIB) as cgroup, fastlb:
        app = start_hoarders(fastlb, cgroup, tmp_path, "--cgroup-memory-restart", "0", "--restart-delay", "10ms")
        memory = app.show()["memory"]
        assert (memory["cgroup"], memory["cgroup_limit"]) == (str(cgroup), "200M")
        assert 0 < int(memory["cgroup_used"].removesuffix("M")) < 200
        app.ok("send", "400", "--worker", "1")
        why = "killed by SIGKILL: out of memory, of which its cgroup may use 200M"
        wait_until(lambda: [entry["reason"] for entry in app.show()["last_exits"]] == [why], "it is known why", 20)
        app.wait_online(2)
        os.kill(app.worker_pids[0], signal.SIGKILL)
        killed = "killed by SIGKILL: not by fastlb"
        wait_until(lambda: app.show()["last_exits"][-1]["reason"] == killed, "nobody else is blamed on memory", 20)
        app.ok("stop")
        fastlb.ok("delete", "app")


def test_largest_worker_is_replaced_before_the_kernel_ends_it(fastlb: Fastlb, tmp_path: Path) -> None:
    with limited_memory(250 * MIB) as cgroup, fastlb:
        app = start_hoarders(fastlb, cgroup, tmp_path, "--cgroup-memory-restart", "60")
        first, second = app.worker_pids
        wait_until_looked_at(app)
        app.ok("send", "10", "--worker", "0")
        app.ok("send", "120", "--worker", "1")
        wait_until(lambda: app.log("out").count("begun 1") == 2, "the largest is started anew", 20)
        app.wait_online(2)
        assert app.worker_pids[0] == first
        assert app.worker_pids[1] != second
        log = app.log("supervisor")
        assert "worker_crashed" not in log
        assert "limit_reached worker_id=1" in log
        assert "cgroup_memory_restart" in log
        app.ok("stop")
        fastlb.ok("delete", "app")


@pytest.mark.parametrize(("target", "directory"), [("hoarder:app", PYTHON_APPS), ("hoarder.js", NODE_APPS)])
def test_no_request_fails_when_the_largest_worker_is_replaced(fastlb: Fastlb, target: str, directory: Path) -> None:
    options = ("--name", "app", "-w", "2", "--settle", "0.1", "--bind", "127.0.0.1:0", "--cwd", str(directory))
    limit = ("--cgroup-memory-restart", "60", "--env", "PORT=3000")
    with limited_memory(320 * MIB) as cgroup, fastlb:
        command = inside(cgroup, str(COMMAND), "start", target, *options, *limit)
        fastlb.run_program(*command)
        app = fastlb.app()
        old = app.worker_pids
        with LoadProcess(Plan(address=app.address, clients=4)) as load:
            load.wait_for(50)
            wait_until_looked_at(app)
            used = int(app.show()["memory"]["cgroup_used"].removesuffix("M"))
            app.get(f"/hoard?{192 + 30 - used}", timeout=scaled(20))
            wait_until(lambda: len({*old, *app.worker_pids}) == 3 and len(app.worker_pids) == 2, "one is replaced", 20)
            load.wait_for(50)
        assert load.report.failed == 0, load.report
        log = app.log("supervisor")
        assert (log.count("limit_reached"), log.count("worker_crashed")) == (1, 0)
        app.ok("stop")
        fastlb.ok("delete", "app")
