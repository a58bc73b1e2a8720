"""Which part may import which: the compiled core nothing of ours, the worker the core, and so on."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .sources import PACKAGES, ROOT, code_files, shown

# The part on the left may import what stands on the right, and itself.
ALLOWED = {
    "lb": (),
    "worker": ("fastlb.lb",),
    "supervisor": ("fastlb.lb", "fastlb.worker.wire"),
    "cli": (
        "fastlb.supervisor.settings.app_config",
        "fastlb.supervisor.control.client",
        "fastlb.supervisor.control.protocol",
        "fastlb.supervisor.errors",
        "fastlb.supervisor.processes.environment",
        "fastlb.supervisor.launch.messages",
        "fastlb.supervisor.launch.starter",
        "fastlb.supervisor.node.target.command",
        "fastlb.supervisor.node.target.package_file",
        "fastlb.supervisor.node.target.script",
        "fastlb.supervisor.control.progress",
        "fastlb.supervisor.home",
        "fastlb.supervisor.settings.declared",
        "fastlb.supervisor.settings.reference",
        "fastlb.supervisor.safe_text",
        "fastlb.supervisor.suggestions",
        "fastlb.supervisor.settings.targets",
    ),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("fastlb", *(part for part in parts if part != "__init__")))


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a Python file imports, wherever in it."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def cimported_modules(path: Path) -> Iterator[str]:
    """Yield the names in the import and cimport lines of a Cython file."""
    for line in path.read_text().splitlines():
        words = line.split()
        if words[:1] in (["cimport"], ["import"], ["from"]) and len(words) > 1:
            yield f"fastlb.lb{words[1]}" if words[1].startswith(".") else words[1]


def is_allowed(imported: str, part: str) -> bool:
    if not imported.startswith("fastlb."):
        return True
    allowed = (f"fastlb.{part}", *ALLOWED[part])
    return any(imported == module or imported.startswith(module + ".") for module in allowed)


@pytest.mark.parametrize("part", PACKAGES)
def test_part_imports_only_what_it_may(part: str) -> None:
    wrong = [
        f"{shown(path)} imports {imported}"
        for path in code_files([part], [".py"])
        for imported in imported_modules(path)
        if not is_allowed(imported, part)
    ]
    wrong += [
        f"{shown(path)} imports {imported}"
        for path in code_files([part], [".pyx", ".pxd"])
        for imported in cimported_modules(path)
        if not is_allowed(imported, part)
    ]
    assert wrong == []


def test_imports_are_understood() -> None:
    found = set(imported_modules(ROOT / "cli" / "apps.py"))
    assert "fastlb.supervisor.control.client.ControlClient" in found
    assert "fastlb.cli.parallel.ask_each" in found
    assert not is_allowed("fastlb.supervisor.app.Master", "cli")
