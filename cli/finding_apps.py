"""Owns finding the app in a directory by looking at its files. Runs in the user's shell; it reads, and runs nothing."""

import os
import re
from collections.abc import Iterator

import msgspec

from ..supervisor.errors import UsageError
from ..supervisor.node.target.package_file import read_package, script_that_starts
from ..supervisor.settings.targets import usable_name
from .target_advice import found_attribute, what_to_type

MOST_FILES = 200
LOOKED_AT_BYTES = 1 << 16
# Where apps of Python are, from the directory of the project.
PYTHON_FOLDERS = (".", "src", "app")
FRAMEWORKS = {
    "FastAPI": re.compile(r"\bFastAPI\("),
    "Flask": re.compile(r"\bFlask\("),
    "Starlette": re.compile(r"\bStarlette\("),
    "Quart": re.compile(r"\bQuart\("),
    "Litestar": re.compile(r"\bLitestar\("),
    "Falcon": re.compile(r"\bfalcon\.(asgi\.)?App\("),
}
_DJANGO_SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE[\"']\s*,\s*[\"']([\w.]+)[\"']")
NODE_SCRIPTS = ("server.js", "app.js", "index.js", "dist/main.js", "dist/server.js", "dist/index.js")


class FoundApp(msgspec.Struct, frozen=True):
    """An app that was found.

    Attributes:
        target: as for `start`.
        what: what it is, for people: "a FastAPI app".
        name: what it may be called.
        app_dir: as the setting; empty: the default.
    """

    target: str
    what: str
    name: str
    app_dir: str = ""


def find_app(directory: str) -> FoundApp | None:
    """Return the app in a directory; None: none was found. Django, then package.json, then frameworks of Python."""
    name = usable_name(os.path.basename(os.path.abspath(directory))) or "app"
    return _django(directory, name) or _node(directory, name) or _python(directory, name)


def _django(directory: str, name: str) -> FoundApp | None:
    found = _DJANGO_SETTINGS.search(_beginning(os.path.join(directory, "manage.py")))
    if not found:
        return None
    package = found[1].rpartition(".")[0] or found[1]
    folder = os.path.join(directory, *package.split("."))
    # Both files are there in a new project; routing of protocols (Channels) is for the one alone.
    is_asgi = "ProtocolTypeRouter" in _beginning(os.path.join(folder, "asgi.py"))
    module = "asgi" if is_asgi or not os.path.isfile(os.path.join(folder, "wsgi.py")) else "wsgi"
    return FoundApp(f"{package}.{module}:application", "a Django project", name)


def _node(directory: str, name: str) -> FoundApp | None:
    try:
        package = read_package(directory)
    except UsageError:
        return None
    scripts = (script_that_starts(package.start_script), package.main, *NODE_SCRIPTS)
    for script in filter(None, scripts):
        if os.path.isfile(os.path.join(directory, script)):
            is_package = script == package.main or package.start_script
            what = "the script of package.json" if is_package else "a script of Node"
            return FoundApp(script, what, usable_name(package.name) or name)
    return None


def _python(directory: str, name: str) -> FoundApp | None:
    for path in _python_files(directory):
        text = _beginning(os.path.join(directory, path))
        framework = next((title for title, pattern in FRAMEWORKS.items() if pattern.search(text)), "")
        if framework and found_attribute(os.path.join(directory, path)):
            *options, target = what_to_type(path, directory, ".").replace("'", "").split()
            app_dir = options[1] if options else ""
            return FoundApp(target, f"a {framework} app", name, app_dir)
    return None


def _python_files(directory: str) -> Iterator[str]:
    """Yield files of Python as far as two folders deep, those nearest first."""
    count = 0
    for folder in PYTHON_FOLDERS:
        for parent in (folder, *_folders(directory, folder)):
            for entry in _entries(os.path.join(directory, parent)):
                if entry.endswith(".py") and count < MOST_FILES:
                    count += 1
                    yield os.path.normpath(os.path.join(parent, entry))


def _folders(directory: str, folder: str) -> list[str]:
    inside = [os.path.join(folder, name) for name in _entries(os.path.join(directory, folder)) if name[:1] not in "._"]
    return [path for path in inside if os.path.isfile(os.path.join(directory, path, "__init__.py"))]


def _entries(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _beginning(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(LOOKED_AT_BYTES).decode(errors="replace")
    except OSError:
        return ""
