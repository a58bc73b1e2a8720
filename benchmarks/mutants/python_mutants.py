"""Owns the mutants of our pure Python: made, run and judged by mutmut in a copy of the package.

mutmut names a module after its path below `src`, so the copy lies under the import name, src/fastlb/.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .workspace import BrokenTree, Workspace

RUN_TIMEOUT = 3600.0
# What stands before a function's name in mutmut's: its module, and x_ or the class between two marks.
FUNCTION = re.compile(r"^.*\.(?:x_|xǁ\w+?ǁ)")
RESULT = re.compile(r"^\s*(fastlb\.\S+): (\w[\w ]*)$", re.MULTILINE)
NOT_TRIED = "not checked"
OF_LIVES = ("tests/unit/test_lifecycle.py", "tests/unit/test_life_records.py")
# What decides about workers and sockets without touching them, and the tests that hold it.
MODULES = {
    "supervisor/workers/transitions.py": OF_LIVES,
    "supervisor/workers/arrival.py": OF_LIVES,
    "supervisor/workers/departure.py": OF_LIVES,
    "supervisor/workers/exits.py": OF_LIVES,
    "supervisor/workers/reload.py": ("tests/unit/test_reload.py",),
    "supervisor/workers/roster.py": ("tests/unit/test_pool.py",),
    "supervisor/processes/backoff.py": ("tests/unit/test_backoff.py",),
    "supervisor/node/binding.py": ("tests/unit/test_node_binding.py",),
    "supervisor/node/servers.py": ("tests/unit/test_node_listeners.py",),
}
# Survivors that change nothing that can be seen, and why. By function, what stands in it and what mutmut makes of it:
# mutmut's names have a number that moves with every change of the function.
EXPLAINED: dict[tuple[str, str, str], str] = {
    ("grown_delay", "max(streak - 1, 0), 64)", "max(streak - 1, 0), 65)"): (
        "the bound keeps the power from an overflow; with it any first delay above 1e-10 s has long been at its longest"
    ),
    ("_umask", "os.umask(0o077)", "os.umask(64)"): (
        "the umask is read by setting one for a moment, in which no other thread makes files: any will do"
    ),
}
CONFIG = """
[tool.mutmut]
source_paths = ["src/fastlb"]
only_mutate = [{modules}]
pytest_add_cli_args_test_selection = [{tests}]
also_copy = ["tests"]

[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "-p", "no:randomly", "-p", "no:xdist"]
pythonpath = ["."]
timeout = 60
"""


class PythonReport(msgspec.Struct, frozen=True):
    """What came of mutmut's mutants: how many there were, and the diff of each that no test found, by its name."""

    measured: list[str]
    total: int
    survivors: Mapping[str, str]

    @property
    def unexplained(self) -> list[str]:
        """The names of those that nobody has explained."""
        return [name for name, diff in self.survivors.items() if not explanation_of(name, diff)]


def run_python_mutants(workspace: Workspace, measured: list[str]) -> PythonReport:
    """Run mutmut over MODULES (about ten minutes).

    Raises:
        BrokenTree: the tests fail without a fault.
    """
    copy = workspace.path / "python"
    shutil.rmtree(copy, ignore_errors=True)
    package = copy / "src" / "fastlb"
    shutil.copytree(workspace.tree / "src" / "fastlb", package)
    for part in ("lb", "supervisor", "worker", "cli"):
        shutil.copytree(workspace.tree / part, package / part)
    shutil.copytree(workspace.tree / "tests", copy / "tests")
    (copy / "pyproject.toml").write_text(config_text())
    output = mutmut(workspace, copy, "run")
    results = dict(RESULT.findall(mutmut(workspace, copy, "results", "--all", "true")))
    if NOT_TRIED in results.values() or not results:
        raise BrokenTree(f"mutmut stopped: {output[-2000:]}")
    missed = sorted(name for name, fate in results.items() if fate != "killed")
    return PythonReport(measured, len(results), {name: mutmut(workspace, copy, "show", name) for name in missed})


def explanation_of(name: str, diff: str) -> str:
    """Return why mutmut's mutant of this name may live; "": nobody has said so."""
    function = FUNCTION.sub("", name.rpartition("__mutmut_")[0])
    before, after = ("".join(line[1:] for line in changed(diff) if line[0] == sign) for sign in "-+")
    for (of, old, new), why in EXPLAINED.items():
        if of == function and before.count(old) == 1 and before.replace(old, new) == after:
            return why
    return ""


def changed(diff: str) -> list[str]:
    """Return the lines of a diff that differ."""
    return [line for line in diff.splitlines() if line[:1] in tuple("+-") and line[:3] not in ("+++", "---")]


def config_text() -> str:
    """Return the configuration of mutmut and pytest in the copy."""
    modules = ", ".join(f'"src/fastlb/{name}"' for name in MODULES)
    tests = ", ".join(f'"{name}"' for name in sorted({name for names in MODULES.values() for name in names}))
    return CONFIG.format(modules=modules, tests=tests)


def mutmut(workspace: Workspace, directory: Path, *arguments: str) -> str:
    """Run a command of mutmut; return what it printed."""
    command = [str(workspace.bin / "python"), "-P", "-m", "mutmut", *arguments]
    # The copy must be found, not the installed package.
    env = {"PATH": f"{workspace.bin}:/usr/bin:/bin", "PYTHONPATH": str(directory / "src"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=RUN_TIMEOUT)
    return done.stdout
