"""docs/tried-with.md names what the matrices of the tests run, in the versions in which they run it, and only that."""

import importlib.metadata
import json
import re

import pytest

from tests.support.node_packages import APPS, NODE_VERSIONS
from tests.support.python_frameworks import FRAMEWORKS

from .pages import CODE, DOCS, section, table_rows

PAGE = DOCS / "tried-with.md"
REFUSED = {"gevent", "eventlet"}


def versions_in(heading: str) -> dict[str, str]:
    return {CODE.findall(row[0])[0]: row[1] for row in table_rows(section(PAGE, heading))}


def line_of_releases(version: str) -> tuple[str, ...]:
    """Return what of a version says how it behaves: the first number, and the second where the first is 0."""
    parts = version.split(".")
    return tuple(parts[: 2 if parts[0] == "0" else 1])


def test_python_packages_are_those_of_the_matrix() -> None:
    assert set(versions_in("Python")) == {framework.package for framework in FRAMEWORKS} | REFUSED


@pytest.mark.parametrize("package", sorted({framework.package for framework in FRAMEWORKS} | REFUSED))
def test_python_versions_are_of_the_line_that_is_installed(package: str) -> None:
    # Of Django, newer releases than for the oldest Python are installed for others.
    written = re.findall(r"[\d.]*\d", versions_in("Python")[package].partition(" (")[0])
    assert line_of_releases(importlib.metadata.version(package)) in map(line_of_releases, written)


def test_what_a_python_package_speaks_is_what_is_tried() -> None:
    spoken = {CODE.findall(row[0])[0]: row[2] for row in table_rows(section(PAGE, "Python")) if len(row) == 4}
    tried: dict[str, list[str]] = {}
    for framework in FRAMEWORKS:
        tried.setdefault(framework.package, []).append(framework.interface.upper())
    assert spoken == {package: ", ".join(sorted(interfaces)) for package, interfaces in tried.items()}


def test_node_packages_are_those_that_the_apps_install() -> None:
    installed: dict[str, str] = {}
    for manifest in APPS.rglob("package.json"):
        installed |= json.loads(manifest.read_text())["dependencies"]
    assert versions_in("Node") == installed


def test_versions_of_node_are_those_of_the_matrix() -> None:
    text = section(PAGE, "Node")
    assert [version for version in NODE_VERSIONS.values() if version not in text] == []
