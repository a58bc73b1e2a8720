"""Trial 1: the two commands of the README in a fresh clone with a new virtual environment."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import ROOT

from .finding import Finding, Scale


def run(scale: Scale) -> Iterator[Finding]:
    """Clone the last commit and run both commands; the demo twice."""
    with tempfile.TemporaryDirectory(prefix="fastlb-clone-") as directory:
        clone = Path(directory) / "fastlb"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        environment = os.environ | {"FASTLB_HOME": f"{directory}/home", "PYTHON": sys.executable}
        try:
            for command in (["make", "demo"], ["make", "demo"], *([] if scale.quick else [["make", "test"]])):
                yield run_command(command, clone, environment)
        finally:
            subprocess.run([str(clone / ".venv/bin/fastlb"), "kill"], env=environment, check=False)


def run_command(command: list[str], clone: Path, environment: dict[str, str]) -> Finding:
    """Run one command of the README."""
    began = time.monotonic()
    result = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    last_line = (result.stdout.strip() or result.stderr.strip()).splitlines()[-1:]
    measured = f"exit code {result.returncode} after {time.monotonic() - began:.0f} s: {' '.join(last_line)}"
    return Finding(f"`{' '.join(command)}` works in a fresh clone", measured, result.returncode == 0)
