"""Which room may import which, and in which process it runs: as the table in docs/architecture.md says."""

import ast
from collections.abc import Iterator
from pathlib import Path

from .rooms import PROCESSES, Room, room_of, rooms
from .sources import PACKAGES, ROOT, code_files, shown


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("fastlb", *(part for part in parts if part != "__init__")))


def package_of(path: Path) -> str:
    return module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]


def imported_names(path: Path) -> Iterator[str]:
    """Yield the full names that a Python file imports, wherever in it."""
    package = package_of(path).split(".")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def cimported_names(path: Path) -> Iterator[str]:
    """Yield the names in the import and cimport lines of a Cython file."""
    for line in path.read_text().splitlines():
        words = line.split()
        if words[:1] in (["cimport"], ["import"], ["from"]) and len(words) > 1:
            yield f"{package_of(path)}{words[1]}" if words[1].startswith(".") else words[1]


def imports() -> Iterator[tuple[Path, str]]:
    """Yield every import of ours by ours: the file, and what it imports."""
    for path in code_files(PACKAGES, [".py", ".pyx", ".pxd"]):
        names = imported_names(path) if path.suffix == ".py" else cimported_names(path)
        yield from ((path, name) for name in names if name.startswith("fastlb."))


def crossings() -> Iterator[tuple[str, Room, Room]]:
    """Yield the imports that leave a room: how to show it, from where, to where."""
    for path, name in imports():
        source, target = room_of(module_name(path)), room_of(name)
        assert source, f"{shown(path)} lies in no room of the table"
        assert target, f"{shown(path)} imports {name}, which lies in no room of the table"
        if source != target:
            yield f"{shown(path)} imports {name}", source, target


def test_every_room_exists_and_runs_somewhere() -> None:
    assert len(rooms()) > 20
    assert [room.path for room in rooms() if not (ROOT / room.path).exists()] == []
    assert [room.path for room in rooms() if not room.runs_in <= PROCESSES] == []


def test_imports_go_down() -> None:
    assert [what for what, source, target in crossings() if target.floor >= source.floor] == []


def test_what_a_room_imports_runs_where_it_runs() -> None:
    wrong = [
        what
        for what, source, target in crossings()
        if not (source.runs_in <= target.runs_in or "any" in target.runs_in)
    ]
    assert wrong == []


def test_the_compiled_core_imports_nothing_of_ours() -> None:
    core = [what for what, source, target in crossings() if source.path == "lb/"]
    assert core == []


def test_imports_are_understood() -> None:
    found = set(imported_names(ROOT / "cli" / "apps.py"))
    assert "fastlb.supervisor.control.client.ControlClient" in found
    assert "fastlb.cli.parallel.ask_each" in found
    assert room_of("fastlb.supervisor.control.server.ControlServer").path == "supervisor/control/server.py"  # type: ignore[union-attr]
    assert room_of("asyncio") is None
