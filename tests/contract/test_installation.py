"""What is installed is whole: every module is there and can be imported, types are told to those who import them."""

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .sources import PACKAGES, code_files
from .test_packaging import STUBS, module_name

IMPORT_ALL = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
RUN_WHEN_IMPORTED = ("__init__", "__main__")


def origin(module: str) -> Path:
    """The file that a module is loaded from."""
    spec = importlib.util.find_spec(module)
    assert spec
    assert spec.origin
    return Path(spec.origin)


def test_every_module_can_be_imported() -> None:
    paths = [path for path in code_files(PACKAGES, [".py", ".pyx"]) if path.stem not in RUN_WHEN_IMPORTED]
    assert len(paths) > 100
    # Isolated: nothing of the directory that these tests run in may help.
    command = [sys.executable, "-I", "-c", IMPORT_ALL, *map(module_name, paths)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_package_says_that_it_has_types() -> None:
    assert origin("fastlb").with_name("py.typed").is_file()


@pytest.mark.parametrize("module", sorted(STUBS))
def test_stub_lies_beside_its_module(module: str) -> None:
    assert origin(module).with_name(f"{module.rpartition('.')[2]}.pyi").is_file()


def test_page_of_the_console_is_there() -> None:
    page = origin("fastlb.cli.console").with_name("page")
    files = {path.name: path.stat().st_size for path in page.iterdir()}
    assert {"head.html", "index.html", "login.html", "console.css", "console.js"} <= set(files)
    assert sum(files.values()) < 150_000, "the whole page"


def test_command_is_installed() -> None:
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="fastlb")
    assert callable(command.load())
