"""Owns the copy of the tree in which mutants live: build/mutants, with an environment of its own.

Runs builds and tests there, one mutant at a time. Never touches the tree it was copied from.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

from .mutant import Mutant, Outcome

ROOT = Path(__file__).resolve().parents[2]
# A mutant that makes the dispatcher turn or wait for ever is found by the first test that misses its deadline.
TESTS_TIMEOUT = 600.0
BUILD_TIMEOUT = 300.0


class Workspace:
    """The copy. Making it copies what git tracks, and builds and installs it (a minute)."""

    def __init__(self) -> None:
        self.path = ROOT / "build" / "mutants"
        shutil.rmtree(self.path / "tree", ignore_errors=True)
        self.tree = self.path / "tree"
        self._copy()
        self.bin = self.path / "venv" / "bin"
        if not (self.bin / "python").exists():
            venv.create(self.path / "venv", with_pip=True)
        self._run([str(self.bin / "python"), "-m", "pip", "install", "-q", "-e", ".[test,mutants]"], BUILD_TIMEOUT)

    def try_mutant(self, mutant: Mutant, tests: tuple[str, ...]) -> Outcome:
        """Put the fault in, build, run the tests until one fails, take the fault out."""
        path = self.tree / mutant.file
        original = path.read_text()
        faulty = mutant.applied_to(original)
        if faulty is None:
            return Outcome(mutant, "does not apply")
        began = time.monotonic()
        path.write_text(faulty)
        try:
            if mutant.file.endswith((".pyx", ".pxd")) and not self.builds():
                return Outcome(mutant, "does not build")
            told_by = self.first_failure(tests)
        finally:
            path.write_text(original)
        return Outcome(mutant, "killed" if told_by else "survived", told_by, time.monotonic() - began)

    def builds(self) -> bool:
        """Build the compiled modules anew; say whether they could be."""
        command = [str(self.bin / "python"), "setup.py", "-q", "build_ext", "--inplace"]
        return self._run(command, BUILD_TIMEOUT, check=False).returncode == 0

    def first_failure(self, tests: tuple[str, ...]) -> str:
        """Run the tests; return the name of the first that failed, or ""."""
        command = [str(self.bin / "python"), "-m", "pytest", "-x", "-q", "--timeout=60", "-p", "no:cacheprovider"]
        try:
            done = self._run([*command, *tests], TESTS_TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            return f"not done within {TESTS_TIMEOUT:g} s"
        if done.returncode == 0:
            return ""
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return found[1] if found else f"exit code {done.returncode}"

    def _copy(self) -> None:
        listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True)
        for name in filter(None, listed.stdout.split("\0")):
            target = self.tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)

    def _run(self, command: list[str], timeout: float, check: bool = True) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, cwd=self.tree, env=env, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done
