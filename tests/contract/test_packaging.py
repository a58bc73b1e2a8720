"""The distribution is what the folders say, and the stubs are what the compiled modules hold."""

import ast
import importlib
import inspect
import tomllib
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest
from fastlb.supervisor.version import VERSION

from .sources import PACKAGES, ROOT, code_files

COMPILED = ("lb", "worker")  # folders with compiled modules


def module_name(path: Path) -> str:
    """The import name of a file's module."""
    return ".".join(("fastlb", *path.relative_to(ROOT).with_suffix("").parts))


STUBS = {module_name(path): path for path in code_files(COMPILED, [".pyi"])}


def test_every_folder_with_code_is_a_package_of_the_distribution() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for path in code_files(PACKAGES, [".py"])}
    assert sorted(declared) == sorted(["fastlb", *("fastlb." + ".".join(folder.parts) for folder in folders)])


def test_version_that_runs_is_the_one_that_is_built() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_every_compiled_module_with_python_names_has_a_stub() -> None:
    compiled = [module_name(path) for path in code_files(COMPILED, [".pyx"])]
    assert [name for name in compiled if name not in STUBS and defined_names(importlib.import_module(name))] == []


@pytest.mark.parametrize("module", sorted(STUBS))
def test_stub_names_what_the_module_holds(module: str) -> None:
    tree = ast.parse(STUBS[module].read_text())
    loaded = importlib.import_module(module)
    assert stubbed_names(tree) - set(vars(loaded)) == set()
    assert defined_names(loaded) - stubbed_names(tree) == set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not is_only_a_type(node):
            held = getattr(loaded, node.name)
            assert [name for name in stubbed_names(node) if not hasattr(held, name)] == [], node.name
            assert stubbed_members(node) == members(held), node.name


def stubbed_members(node: ast.ClassDef) -> dict[str, object]:
    """Return the members of an enumeration with their values, as its stub has them; of another class nothing."""
    return {
        assigned.targets[0].id: ast.literal_eval(assigned.value)
        for assigned in node.body
        if isinstance(assigned, ast.Assign) and isinstance(assigned.targets[0], ast.Name)
    }


def members(held: type) -> dict[str, object]:
    """Return the members of an enumeration with their values; of another class nothing."""
    return {name: member.value for name, member in held.__members__.items()} if issubclass(held, Enum) else {}


def stubbed_names(tree: ast.Module | ast.ClassDef) -> set[str]:
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names -= {node.name for node in tree.body if isinstance(node, ast.ClassDef) and is_only_a_type(node)}
    names |= {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return {name for name in names if not name.startswith("__") or name == "__init__"}


def is_only_a_type(node: ast.ClassDef) -> bool:
    return bool({"TypedDict", "Protocol"} & {base.id for base in node.bases if isinstance(base, ast.Name)})


def defined_names(module: ModuleType) -> set[str]:
    """Return the public functions and classes that a compiled module defines itself."""
    members = inspect.getmembers(module, lambda member: inspect.isroutine(member) or inspect.isclass(member))
    own = {name for name, member in members if getattr(member, "__module__", None) == module.__name__}
    return {name for name in own if not name.startswith("_")}
