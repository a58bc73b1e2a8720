"""Owns starting the Node apps of node_apps/, and asking who answers. Runs in the test (or trial) process."""

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from .client import get
from .fastlb_process import App, Fastlb
from .load_plan import Address
from .node_packages import APPS
from .ports import free_port as free_port
from .waiting import wait_until

# What an app asks for; `--bind 127.0.0.1:0`, which the driver adds, maps it to a free port.
APP_PORT = 3000
WORKERS = 2


def start_node(fastlb: Fastlb, script: str | Path, *options: str, workers: int = WORKERS) -> App:
    """Start an app whose port is mapped to a free one; a bare name means one of node_apps."""
    return fastlb.start(str(APPS / script), "--workers", str(workers), "--env", f"PORT={APP_PORT}", *options)


def start_where_it_asks(fastlb: Fastlb, script: Path, *options: str, workers: int = WORKERS) -> App:
    """Start an app without `--bind`: it listens where it says, which its variables have to make a free place."""
    asked = ("start", str(script), "--name", "app", "--workers", str(workers), "--env", "HOST=127.0.0.1")
    fastlb.ok(*asked, *options)
    return fastlb.app()


def variables(values: Mapping[str, object]) -> list[str]:
    """Return the options that set these variables."""
    return [word for name, value in values.items() for word in ("--env", f"{name}={value}")]


def copy_apps(folder: Path, node_modules: Path) -> Path:
    """Copy the apps and put the packages beside them, where `require`, `import` and `--import` look for them.

    A NODE_PATH would not do: ES modules do not heed it.
    """
    copy = folder / "node_apps"
    shutil.copytree(APPS, copy)
    (copy / "node_modules").symlink_to(node_modules)
    return copy


def who_answers(address: Address, requests: int) -> Counter[int]:
    """Make requests, each on a connection of its own; return how many each pid answered."""
    return Counter(get(address).json()["pid"] for _ in range(requests))


def wait_for_answers_of(address: Address, workers: int = WORKERS) -> set[int]:
    """Wait until so many workers have answered; return their pids."""
    seen: set[int] = set()

    def all_have() -> bool:
        seen.update(who_answers(address, 1))
        return len(seen) == workers

    wait_until(all_have, f"{workers} workers answer", timeout=10)
    return seen
