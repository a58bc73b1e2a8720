"""Owns which files are configuration files, and reading one into plain data. Runs in the user's shell.

A file is read as what its name says, standard input as what it looks like. JavaScript alone is run, by node.
"""

import os
import re
import sys
from typing import Any

import msgspec

from ...supervisor.errors import UsageError
from ...supervisor.processes.working_directory import name_of_directory
from ...supervisor.settings.targets import PACKAGE_FILE
from .formats.errors import NotReadable
from .formats.plain import NotPlain, check_plain
from .places import KeyPlaces, Place

STDIN = "-"
MOST_BYTES = 1 << 20
LOOKED_AT_BYTES = 1 << 18
DATA_SUFFIXES = (".json", ".json5", ".jsonc", ".yml", ".yaml", ".toml")
SCRIPT_SUFFIXES = (".js", ".cjs", ".mjs")
# PM2's rule, and its habit of naming files of several environments: ecosystem.production.js.
_CONFIG_SCRIPT = re.compile(r"^(ecosystem.*|.*\.config)\.(js|cjs|mjs)$")
# In a script of any other name: it exports something, and `apps` is a key or a name of what may be exported.
_EXPORTS = re.compile(r"\bmodule\.exports\s*=|\bexports\.apps\s*=|\bexport\s+(default|const|let|var)\b")
_APPS = re.compile(r"\bapps[\"']?\s*[:=]")
_SERVES = re.compile(r"\.listen\s*\(|\bcreateServer\b")
_COMMENTS = re.compile(r"/\*.*?\*/|(?m:^\s*//.*$)", re.DOTALL)


class FileContent(msgspec.Struct, frozen=True):
    """What a configuration file says.

    Attributes:
        file: as the user named it.
        directory: what relative paths in it mean: an absolute path.
        data: objects, arrays, texts, numbers, truth values and null.
        places: of the keys in `data`.
        is_toml: it is written in the form that is ours alone.
        printed: what it has printed when it was evaluated.
    """

    file: str
    directory: str
    data: Any
    places: KeyPlaces
    is_toml: bool = False
    printed: str = ""


def is_config_file(target: str) -> bool:
    """Whether `target`, as typed behind `start`, is a file that says which apps there are.

    By its name, but a package.json and a script of another name than ecosystem*.js or *.config.js are looked at: they
    must have `pm2`, or export `apps`. Nothing is run.
    """
    if target == STDIN:
        return True
    name = os.path.basename(target)
    if name == PACKAGE_FILE:
        return _has_key_of_pm2(_beginning(target))
    if name.endswith(DATA_SUFFIXES) or _CONFIG_SCRIPT.match(name):
        return ":" not in name
    return name.endswith(SCRIPT_SUFFIXES) and _exports_apps(_beginning(target))


def _has_key_of_pm2(package: str) -> bool:
    """Whether `pm2` is a key of the package itself: among its dependencies it says nothing."""
    import json

    try:
        data = json.loads(package)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and isinstance(data.get("pm2"), dict | list)


def _exports_apps(text: str) -> bool:
    code = _COMMENTS.sub("", text)
    return bool(_EXPORTS.search(code) and _APPS.search(code) and not _SERVES.search(code))


def _beginning(path: str) -> str:
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, "rb") as file:
            return file.read(LOOKED_AT_BYTES).decode(errors="replace")
    except OSError:
        return ""


def read_config_file(path: str) -> FileContent:
    """Return what the file at `path` says, `-`: standard input.

    Raises:
        UsageError: it is not there, or is not what its name says; the message has the line.
        FastlbError: it is JavaScript, and there is no node.
    """
    text = _text(path)
    directory = name_of_directory(os.path.dirname(path) if path != STDIN else "")
    shown = "standard input" if path == STDIN else path
    content = _read(text, path, shown, directory)
    try:
        check_plain(content.data)
    except NotPlain as error:
        raise NotReadable(Place(shown), str(error)) from None
    return content


def _read(text: str, path: str, shown: str, directory: str) -> FileContent:
    """Each format is imported where it is needed: `check` is to answer at once."""
    suffix = os.path.splitext(path)[1] if path != STDIN else _look_of(text)
    if suffix == ".toml":
        from .formats.toml_text import read_toml

        data, places = read_toml(text, shown)
        return FileContent(shown, directory, data, places, is_toml=True)
    if suffix in (".yml", ".yaml"):
        from .formats.yaml_text import read_yaml

        return FileContent(shown, directory, *read_yaml(text, shown))
    if suffix in SCRIPT_SUFFIXES:
        from .formats.javascript import read_javascript

        data, places, printed = read_javascript(text, path, shown)
        return FileContent(shown, directory, data, places, printed=printed)
    from .formats.json_text import read_json

    return FileContent(shown, directory, *read_json(text, shown))


def _look_of(text: str) -> str:
    """Return the suffix that a file of this text would have."""
    code = re.sub(r"^(\s|//.*|#.*|/\*.*?\*/)*", "", text, count=1)
    if re.match(r"\[\[?[\w.\"'-]+\]|[\w-]+\s*=", code):
        return ".toml"
    return ".json" if code[:1] in ("{", "[") else ".yaml"


def _text(path: str) -> str:
    shown = "standard input" if path == STDIN else path
    try:
        if path == STDIN:
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with open(path, "rb") as file:
                content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise NotReadable(Place(shown), f"it is larger than {MOST_BYTES >> 20} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NotReadable(Place(shown, line, 1), "this is no UTF-8") from None
