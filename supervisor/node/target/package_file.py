"""Owns what we read of a package.json: its name, its main script, what `npm start` runs.

Runs in the supervisor and in the user's shell. It must never run anything that is named there.
"""

import os
import re
from typing import Any

import msgspec

from ...errors import UsageError
from ...settings.targets import PACKAGE_FILE

MAX_PACKAGE_BYTES = 1 << 20


class Package(msgspec.Struct, frozen=True):
    """What concerns us of a package.json; a field of another type than npm's counts as missing."""

    name: str = ""
    main: str = ""
    start_script: str = ""


def read_package(directory: str) -> Package:
    """Return the package of `directory`; an empty one if it has no package.json.

    Raises:
        UsageError: the file cannot be read, is too large, or is no JSON object.
    """
    path = os.path.join(directory or ".", PACKAGE_FILE)
    if not os.path.isfile(path):
        return Package()
    fields = _decode(path, _read_bounded(path))
    scripts = fields.get("scripts")
    start = scripts.get("start") if isinstance(scripts, dict) else ""
    return Package(_text(fields.get("name")), _text(fields.get("main")), _text(start))


def start_script(directory: str) -> str:
    """Return what `npm start` runs in `directory`; empty when that is not known, whatever the reason."""
    try:
        return read_package(directory).start_script
    except UsageError:
        return ""


def script_that_starts(command: str) -> str:
    """Return the script that a command such as `NODE_ENV=production node dist/server.js` runs; empty: not known."""
    found = re.search(r"(?:^|\s)node\s+(?:-\S+\s+)*([^\s-]\S*)", command)
    return found[1] if found else ""


def _read_bounded(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_PACKAGE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}: name the script itself") from error
    if len(content) > MAX_PACKAGE_BYTES:
        raise UsageError(f"{path} is larger than 1 MiB: name the script itself")
    return content


def _decode(path: str, content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"), type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not what npm writes: {error}: correct it, or name the script itself") from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
