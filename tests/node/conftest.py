"""Owns what tests with Node share: no node, no tests; packages and other versions of Node, or a visible reason."""

from pathlib import Path

import pytest

from tests.support.node_driver import copy_apps
from tests.support.node_packages import (
    NotInstallableError,
    framework_modules,
    node_binary,
    node_of_major,
)


@pytest.fixture(scope="session")
def _node_is_there() -> None:
    """Skip when the machine has no node."""
    if not node_binary():
        pytest.skip("node is not installed")


@pytest.fixture(autouse=True)
def _guard(_node_is_there: None, leak_guard: None) -> None:
    """Run each test of this folder inside the leak guard; none without node."""


@pytest.fixture(scope="session")
def node_modules(_node_is_there: None) -> Path:
    """The packages that the framework apps import."""
    try:
        return framework_modules()
    except NotInstallableError as error:
        pytest.skip(f"the frameworks cannot be installed: {error}")


@pytest.fixture(scope="session")
def framework_apps(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the apps and the packages that they import."""
    return copy_apps(tmp_path_factory.mktemp("frameworks"), node_modules)


def node_or_skip(major: int) -> Path:
    """Return the binary of that major version, or skip the test that asks for it."""
    try:
        return node_of_major(major)
    except NotInstallableError as error:
        pytest.skip(f"node {major} cannot be had: {error}")


@pytest.fixture
def node_major(request: pytest.FixtureRequest) -> Path:
    """The binary of the major version that the test is parametrised with (indirect)."""
    return node_or_skip(int(request.param))
