"""Owns the mutants of our pure Python: made, run and judged by mutmut in a copy of the package.

mutmut names a module after its path below `src`, so the copy lies under the import name, src/fastlb/.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .workspace import Workspace

RUN_TIMEOUT = 3600.0
RESULT = re.compile(r"^\s*(fastlb\.\S+): (\w[\w ]*)$", re.MULTILINE)
# What decides about workers and sockets without touching them, and the tests that hold it.
MODULES = {
    "supervisor/workers/transitions.py": "tests/unit/test_lifecycle.py",
    "supervisor/workers/reload.py": "tests/unit/test_reload.py",
    "supervisor/workers/roster.py": "tests/unit/test_pool.py",
    "supervisor/processes/backoff.py": "tests/unit/test_backoff.py",
    "supervisor/node/binding.py": "tests/unit/test_node_binding.py",
    "supervisor/node/servers.py": "tests/unit/test_node_listeners.py",
}
# Survivors that change nothing that can be seen, by mutmut's name, and why.
EXPLAINED: dict[str, str] = {
    "fastlb.supervisor.processes.backoff.x_grown_delay__mutmut_18": (
        "the bound keeps the power from an overflow; with it any first delay above 1e-10 s has long been at its longest"
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


def run_python_mutants(workspace: Workspace, measured: list[str]) -> PythonReport:
    """Run mutmut over MODULES (about ten minutes)."""
    copy = workspace.path / "python"
    shutil.rmtree(copy, ignore_errors=True)
    package = copy / "src" / "fastlb"
    shutil.copytree(workspace.tree / "src" / "fastlb", package)
    for part in ("lb", "supervisor", "worker", "cli"):
        shutil.copytree(workspace.tree / part, package / part)
    shutil.copytree(workspace.tree / "tests", copy / "tests")
    (copy / "pyproject.toml").write_text(config_text())
    mutmut(workspace, copy, "run")
    results = dict(RESULT.findall(mutmut(workspace, copy, "results", "--all", "true")))
    missed = sorted(name for name, fate in results.items() if fate != "killed")
    return PythonReport(measured, len(results), {name: mutmut(workspace, copy, "show", name) for name in missed})


def config_text() -> str:
    """Return the configuration of mutmut and pytest in the copy."""
    modules = ", ".join(f'"src/fastlb/{name}"' for name in MODULES)
    tests = ", ".join(f'"{name}"' for name in sorted(set(MODULES.values())))
    return CONFIG.format(modules=modules, tests=tests)


def mutmut(workspace: Workspace, directory: Path, *arguments: str) -> str:
    """Run a command of mutmut; return what it printed."""
    command = [str(workspace.bin / "python"), "-P", "-m", "mutmut", *arguments]
    # The copy must be found, not the installed package.
    env = {"PATH": f"{workspace.bin}:/usr/bin:/bin", "PYTHONPATH": str(directory / "src"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=RUN_TIMEOUT)
    return done.stdout
