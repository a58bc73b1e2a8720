"""Owns the list of files that the contract tests look at. Reads only."""

import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lb", "supervisor", "worker", "cli", "client")
CODE_SUFFIXES = (".py", ".pyx", ".pxd", ".pyi")
TEXT_SUFFIXES = (*CODE_SUFFIXES, ".md", ".toml", ".sh", ".h", ".c", "")


@cache
def project_files() -> tuple[Path, ...]:
    """Return every file that belongs to the project: what git tracks, or would if it were added."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def code_files(folders: Sequence[str], suffixes: Sequence[str] = CODE_SUFFIXES) -> Iterator[Path]:
    """Yield the files of `folders` (below the root) with one of `suffixes`."""
    for path in project_files():
        if path.relative_to(ROOT).parts[0] in folders and path.suffix in suffixes:
            yield path


def shown(path: Path) -> str:
    """Return `path` as it is written in messages."""
    return str(path.relative_to(ROOT))
