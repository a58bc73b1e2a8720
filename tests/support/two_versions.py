"""Owns copies of fastlb that differ in their version, one of which is installed at a time, as by pip. Test process.

Whatever is started with `env` imports the copy that is installed at that moment.
"""

import os
import shutil
from pathlib import Path

import fastlb
from fastlb.supervisor.version import VERSION

NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.c", "*.pyx")


class Installations:
    """Copies of fastlb below a directory.

    Args:
        directory: empty, of the test's own.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._current = directory / "current"

    @property
    def env(self) -> dict[str, str]:
        """What a process must have to import the copy that is installed."""
        return {"PYTHONPATH": str(self._current)}

    def add(self, version: str) -> Path:
        """Make a copy; return where its package is."""
        package = self._directory / version / "fastlb"
        root = Path(fastlb.__file__).resolve().parents[2]
        shutil.copytree(root / "src" / "fastlb", package, ignore=NOT_COPIED)
        for room in ("cli", "lb", "supervisor", "worker"):
            shutil.copytree(root / room, package / room, ignore=NOT_COPIED)
        stated = package / "supervisor" / "version.py"
        stated.write_text(stated.read_text().replace(f'"{VERSION}"', f'"{version}"'))
        return package

    def install(self, version: str) -> None:
        """Have this copy be the one that is imported from now on."""
        link = self._directory / "new"
        link.symlink_to(self._directory / version)
        os.replace(link, self._current)
