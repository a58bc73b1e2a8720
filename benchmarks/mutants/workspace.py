"""Owns a copy of the tree in which mutants live: build/mutants/NUMBER, with an environment of its own.

Runs builds and tests there, one mutant at a time; several copies may work beside each other. Never touches the tree it
was copied from. The environment borrows every package of the one that runs us, except ours.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Sequence
from pathlib import Path

from .mutant import Mutant, Outcome

ROOT = Path(__file__).resolve().parents[2]
# A mutant that makes the dispatcher turn or wait for ever is found by the first test that misses its deadline.
TEST_TIMEOUT = 45
TESTS_TIMEOUT = 400.0
BUILD_TIMEOUT = 300.0
PYTEST = ("-m", "pytest", "-x", "-q", f"--timeout={TEST_TIMEOUT}", "-p", "no:cacheprovider", "-p", "no:randomly")
TRIES = 3  # a test that failed runs so often again before its failure is called a chance
MOST_CHANCES = 5  # of one mutant
FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/\S+?(?:\[.*?\])?)(?: - .*)?$", re.MULTILINE)
# What the optimizer does is no fault of ours to find, and it takes most of a build.
COMPILER = '#!/bin/sh\nexec cc "$@" -O0\n'
COMMAND = "import sys\nfrom fastlb.cli.main import main\nsys.exit(main())\n"


class BrokenTree(Exception):
    """The tests fail, or the build, without a fault in the code: nothing can be said of mutants."""


class Workspace:
    """The copy. Making it copies what git tracks or would, and builds it (a quarter of a minute).

    Raises:
        BrokenTree: it cannot be built.
    """

    def __init__(self, number: int = 0) -> None:
        self.path = ROOT / "build" / "mutants" / str(number)
        shutil.rmtree(self.path, ignore_errors=True)
        self.tree = self.path / "tree"
        self.bin = self.path / "venv" / "bin"
        self._copy()
        self._make_environment()
        if not self.builds():
            raise BrokenTree("the tree does not build")

    def try_mutant(self, mutant: Mutant, all_tests: Sequence[str]) -> Outcome:
        """Put the fault in, build, run the rule's own tests and then all until one fails, take the fault out."""
        path = self.tree / mutant.file
        original = path.read_text()
        faulty = mutant.applied_to(original)
        if faulty is None:
            return Outcome(mutant, "does not apply")
        began = time.monotonic()
        path.write_text(faulty)
        try:
            if mutant.is_compiled and not self.builds():
                return Outcome(mutant, "does not build")
            told_by = self.failure(mutant.tests, at_once=1) or self.failure(all_tests)
        finally:
            path.write_text(original)
        return Outcome(mutant, "killed" if told_by else "survived", told_by, time.monotonic() - began)

    def builds(self) -> bool:
        """Build the compiled modules anew; say whether they could be."""
        return self._run(["setup.py", "-q", "build_ext", "--inplace"], BUILD_TIMEOUT)[0] == 0

    def failure(self, tests: Sequence[str], at_once: int = 2) -> str:
        """Run the tests; return the name of the first that fails and fails again, or "".

        A test that failed once and then passes has failed by chance: it is left out, and the others go on.
        """
        left_out: list[str] = []
        if not tests:
            return ""
        while name := self.first_failure(*tests, *(f"--deselect={name}" for name in left_out), at_once=at_once):
            if "::" not in name or any(self.first_failure(name, at_once=1) for _ in range(TRIES)):
                return name
            left_out.append(name)
            if len(left_out) > MOST_CHANCES:
                raise BrokenTree(f"too many tests fail now and then: {left_out}")
        return ""

    def first_failure(self, *arguments: str, at_once: int = 2) -> str:
        """Run tests with these arguments of pytest, some at once; return the name of the first that failed, or ""."""
        beside = ["-n", str(at_once)] if at_once > 1 else []
        code, output = self._run([*PYTEST, *beside, *arguments], TESTS_TIMEOUT)
        if code == 0:
            return ""
        found = FAILED.search(output)
        return found[1] if found else f"exit code {code} of the tests"

    def check(self, tests: Sequence[str]) -> None:
        """Run the tests without a fault.

        Raises:
            BrokenTree: they fail.
        """
        if told_by := self.failure(tests):
            raise BrokenTree(f"fails without any fault: {told_by}")

    def _copy(self) -> None:
        command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                target = self.tree / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)

    def _make_environment(self) -> None:
        venv.create(self.path / "venv", with_pip=False)
        packages = Path(sysconfig.get_path("purelib", vars={"base": str(self.path / "venv")}))
        # In a .pth file a folder's own .pth files are not read, so the package that is installed there is not found.
        folders = [str(self.tree / "build" / "view"), sysconfig.get_path("purelib")]
        (packages / "mutants.pth").write_text("\n".join(folders) + "\n")
        write_program(self.bin / "fastlb", f"#!{self.bin}/python\n{COMMAND}")
        write_program(self.path / "compiler", COMPILER)

    def _run(self, arguments: list[str], timeout: float) -> tuple[int, str]:
        """Run Python in the copy; return the exit code (-1: not in time) and what it printed."""
        env = {**os.environ, "PYTHONWARNINGS": "ignore", "CC": str(self.path / "compiler")}
        env.pop("VIRTUAL_ENV", None)
        command = [str(self.bin / "python"), *arguments]
        with subprocess.Popen(
            command,
            cwd=self.tree,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                return -1, output
        if process.returncode and "pytest" not in arguments:
            print(output, file=sys.stderr)
        return process.returncode, output


def write_program(path: Path, text: str) -> None:
    """Write a file that can be executed."""
    path.write_text(text)
    path.chmod(0o755)
