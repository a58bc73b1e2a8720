"""Owns the description of the machine and the versions that a result was measured with."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

PACKAGES = ("fastlb", "uvicorn", "uvloop", "httptools", "gunicorn", "granian")
ROOT = Path(__file__).resolve().parents[1]


def describe_machine(command: str) -> list[str]:
    """Return lines of Markdown: date, commit, machine, versions, and the command that was run."""
    found = [f"{name} {version}" for name in PACKAGES if (version := version_of(name))]
    return [
        f"- when: {time.strftime('%Y-%m-%d %H:%M')} UTC, commit {commit()}",
        f"- machine: {cpu_model()}, {len(os.sched_getaffinity(0))} CPUs, Linux {platform.release()}",
        f"- versions: Python {platform.python_version()}, {', '.join([*found, *node_version()])}",
        f"- command: `{command}`",
    ]


def version_of(package: str) -> str:
    """Return the installed version; empty when it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def node_version() -> list[str]:
    """Return the version of the machine's node; nothing when it has none."""
    if not shutil.which("node"):
        return []
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return [f"node {said.removeprefix('v')}"]


def cpu_model() -> str:
    """Return the model of the first CPU."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit() -> str:
    """Return the short commit hash, with a + when the tree differs from it."""
    if not shutil.which("git"):
        return "unknown"
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
