"""Owns the files of `env_file`: variables as python-dotenv reads them. Supervisor, and the user's shell to check them.

The form (quotes, `export`, comments, ${NAME} and ${NAME:-default}) is that of python-dotenv's parser; what it only
warns of is refused here. Nothing of a file is run, and nothing of it is written anywhere.
"""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import UsageError
from ..regular_file import open_regular

MOST_BYTES = 1 << 20


def read_env_files(paths: Sequence[str], directory: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of several files; a later one counts more, as does a later line.

    Args:
        paths: of the files, relative to `directory`.
        directory: the app's; empty: the working directory.
        known: what ${NAME} may mean besides variables of the files.

    Raises:
        UsageError: a file cannot be read, or a line is no variable; names both.
    """
    variables: dict[str, str] = {}
    for path in paths:
        for name, value in _assignments(os.path.join(directory, os.path.expanduser(path))):
            variables[name] = _resolved(value, {**known, **variables})
    return variables


def _assignments(path: str) -> list[tuple[str, str]]:
    from dotenv.parser import parse_stream  # only who has such a file needs it

    found = []
    for binding in parse_stream(io.StringIO(_text(path))):
        if binding.error or "\0" in (binding.value or ""):
            line = binding.original.line
            raise UsageError(f"--env-file {path}: line {line} is not NAME=VALUE: put a value with spaces in quotes")
        if binding.key and binding.value is not None:
            found.append((binding.key, binding.value))
    return found


def _resolved(value: str, known: Mapping[str, str]) -> str:
    from dotenv.variables import parse_variables

    return "".join(atom.resolve(known) for atom in parse_variables(value))


def _text(path: str) -> str:
    try:
        with open(open_regular(Path(path), os.O_RDONLY), "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--env-file {path} cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise UsageError(f"--env-file {path} is larger than 1M: is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"--env-file {path}: byte {error.start} is not UTF-8: save it as UTF-8") from None
