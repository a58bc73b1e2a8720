"""Owns putting files of an init system in place, whole or not at all, and taking them away. Runs in the user's shell.

A file that is there and does not begin with our mark is somebody else's, and is never touched.
"""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...supervisor.errors import FastlbError

MARK_LINES = 2
COMMAND_SECONDS = 60.0


@dataclass(frozen=True)
class Installation:
    """What is to be there, and what is done about it.

    Attributes:
        files: content by path.
        mode: of the files.
        links: path -> what it names.
        commands: carried out when all files are there.
    """

    files: Mapping[Path, str]
    mode: int = 0o644
    links: Mapping[Path, str] = field(default_factory=dict)
    commands: Sequence[Sequence[str]] = ()


def install(wanted: Installation, mark: str) -> None:
    """Put everything in place; what cannot be done leaves no new file.

    Raises:
        FastlbError: a file is not ours, the disk does not take one, or a command has failed.
    """
    for path in wanted.files:
        _refuse_foreign(path, mark)
    with contextlib.ExitStack() as if_failed:
        for path, content in wanted.files.items():
            if not path.exists():
                if_failed.callback(path.unlink, missing_ok=True)
            _write(path, content, wanted.mode)
        for path, named in wanted.links.items():
            if not path.is_symlink():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(named)
                if_failed.callback(path.unlink, missing_ok=True)
        for command in wanted.commands:
            run(command)
        if_failed.pop_all()


def run(command: Sequence[str]) -> None:
    """Carry out a command of the init system.

    Raises:
        FastlbError: it failed; with what it has said.
    """
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS, check=False
        )
    except FileNotFoundError:
        raise FastlbError(f"there is no {command[0]} here: --print shows what is to be written where") from None
    except subprocess.TimeoutExpired:
        raise FastlbError(f"{' '.join(command)} did not end within {COMMAND_SECONDS:g} s") from None
    if result.returncode:
        raise FastlbError(f"{' '.join(command)} failed", details=result.stderr or result.stdout)


def ours_in(directory: Path, pattern: str, mark: str) -> list[Path]:
    """Return the files of a directory that were written for these apps, in the order of their names."""
    return sorted(path for path in directory.glob(pattern) if path.is_file() and _is_ours(path, mark))


def _refuse_foreign(path: Path, mark: str) -> None:
    if path.exists() and not _is_ours(path, mark):
        raise FastlbError(f"{path} is not of `fastlb startup` for these apps: remove it, or call the app otherwise")


def _is_ours(path: Path, mark: str) -> bool:
    try:
        with path.open(errors="replace") as file:
            return any(mark == next(file, "").rstrip("\n") for _ in range(MARK_LINES))
    except OSError:
        return False


def _write(path: Path, content: str, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(content)
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise FastlbError(f"cannot write {path}: {error.strerror}") from error
