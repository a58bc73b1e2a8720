"""The distribution is what the folders say, and the stubs are what the compiled modules hold."""

import ast
import importlib
import inspect
import tomllib
from types import ModuleType

import pytest

from .sources import PACKAGES, ROOT, code_files

STUBS = sorted(path.stem for path in code_files(["lb"], [".pyi"]))


def test_every_folder_with_code_is_a_package_of_the_distribution() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for path in code_files(PACKAGES, [".py"])}
    assert sorted(declared) == sorted(["fastlb", *("fastlb." + ".".join(folder.parts) for folder in folders)])


def test_every_compiled_module_with_python_names_has_a_stub() -> None:
    compiled = [path.stem for path in code_files(["lb"], [".pyx"])]
    assert [name for name in compiled if name not in STUBS and defined_names(load(name))] == []


@pytest.mark.parametrize("module", STUBS)
def test_stub_names_what_the_module_holds(module: str) -> None:
    tree = ast.parse((ROOT / "lb" / f"{module}.pyi").read_text())
    loaded = load(module)
    assert stubbed_names(tree) - set(vars(loaded)) == set()
    assert defined_names(loaded) - stubbed_names(tree) == set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not is_only_a_type(node):
            assert stubbed_names(node) - set(dir(getattr(loaded, node.name))) == set(), node.name


def load(name: str) -> ModuleType:
    return importlib.import_module(f"fastlb.lb.{name}")


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
