"""Owns the servers for Node apps: Node's own cluster, and PM2's cluster mode in a home of its own.

PM2 is installed from npm below build/ when it is first asked for (tests/support/node_packages.py).
"""

import os
import select
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from tests.support import processes
from tests.support.node_driver import free_port
from tests.support.node_packages import NotInstallableError, node_binary, node_modules
from tests.support.waiting import scaled, wait_until

from .running import APPS, START_TIMEOUT, RunningServer, Server, Service, answers, start_process, wait_for_answer

PM2_VERSION = "7.0.4"


def start_node_cluster(service: Service) -> RunningServer:
    """Node's cluster module with its defaults; its primary is the balancer."""
    port = free_port()
    command = [node_binary(), str(APPS / "cluster_main.js"), service.target, str(service.workers)]
    root = start_process(command, app_environment(port), stdout=subprocess.PIPE)
    assert root.stdout is not None
    with root.stdout as output:
        # The primary says so when every worker listens; the first one would answer long before.
        wait_until(lambda: select.select([output], [], [], 0)[0], "every worker listens", START_TIMEOUT)
    return msgspec.structs.replace(wait_for_answer(root, port), balancer_pids=(root.pid,))


def start_pm2(service: Service) -> RunningServer:
    """`pm2 start SCRIPT -i N`; its daemon is the balancer."""
    home = Path(tempfile.mkdtemp(prefix="fastlb-pm2-"))
    port = free_port()
    env = {**os.environ, **app_environment(port), "PM2_HOME": str(home)}
    run_pm2(env, "start", service.target, "-i", str(service.workers), "--name", "bench")
    daemon = int((home / "pm2.pid").read_text())
    address = ("127.0.0.1", port)
    wait_until(lambda: answers(address), "PM2's app answers", START_TIMEOUT)

    def stop() -> None:
        run_pm2(env, "kill")
        wait_until(lambda: not processes.is_running(daemon), "PM2's daemon is gone")
        shutil.rmtree(home)

    return RunningServer(address, stop, lambda: [daemon, *processes.descendants(daemon)], (daemon,))


def run_pm2(env: dict[str, str], *arguments: str) -> None:
    """Run a command of PM2 to its end."""
    command = [node_binary(), str(pm2_modules() / "pm2" / "bin" / "pm2"), "--silent", *arguments]
    # Its daemon would keep a pipe open, so nothing is read.
    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.run(command, env=env, check=True, timeout=scaled(60), **quiet)


def pm2_modules() -> Path:
    """Return the `node_modules` with PM2 in it."""
    return node_modules((("pm2", PM2_VERSION),))


def has_pm2() -> bool:
    """Say whether PM2 can be had here."""
    try:
        return bool(node_binary() and pm2_modules())
    except NotInstallableError as error:
        print(f"no PM2: {error}")
        return False


def app_environment(port: int) -> dict[str, str]:
    """Return the variables that tell an app where to listen."""
    return {"PORT": str(port), "HOST": "127.0.0.1"}


SERVERS = {
    "node-cluster": Server(start_node_cluster, lambda: bool(node_binary())),
    "pm2": Server(start_pm2, has_pm2),
}
