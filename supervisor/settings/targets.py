"""Owns the form of a target, which kind of worker runs it, and the app name made from it. Pure; any process.

A Python app is `module:attribute` or `module:factory()`, a Node app is a script, a directory or a package.json; in fork
mode a target is any program. It never imports or opens the target: whether it exists is found out by the worker, by
`node.target.script` or by `fork.target.command`.
"""

import posixpath
import re
from typing import Literal, TypeAlias

from ..errors import UsageError

AppKind: TypeAlias = str  # "python", "node", ...: supervisor/kinds.py
# How they are called, where that is not their name with a capital letter.
KIND_TITLES: dict[AppKind, str] = {"fork": "fork-mode"}
# auto is for whoever starts an app: it looks at the target, and stores what it has found (cli/mode_choice.py).
ExecMode: TypeAlias = Literal["auto", "cluster", "fork"]
NODE_SUFFIXES = (".js", ".mjs", ".cjs", ".ts", ".mts")
TYPESCRIPT_SUFFIXES = (".ts", ".mts")
PACKAGE_FILE = "package.json"
WHAT_TO_TYPE = "type MODULE:ATTRIBUTE, such as server:app for `app` in server.py"
# What runs scripts of Node's; besides these every program whose name begins with "node".
NODE_INTERPRETERS = ("tsx", "deno")
# Programs that start the app in another process, or keep the channel for themselves, each with what to start
# instead of it.
SOME_SCRIPT = "fastlb start dist/server.js"
WRAPPERS = {
    "npm": SOME_SCRIPT,
    "npx": SOME_SCRIPT,
    "yarn": SOME_SCRIPT,
    "pnpm": SOME_SCRIPT,
    "nodemon": SOME_SCRIPT,
    "ts-node": "fastlb start --interpreter tsx server.ts",
    "tsx": "fastlb start --interpreter tsx server.ts",
    "nest": "fastlb start dist/main.js",
    "next": "fastlb start node_modules/next/dist/bin/next -- start",
    "bun": SOME_SCRIPT,
    "deno": "fastlb start --interpreter deno server.ts",
}
# Files that tell other tools something.
CONFIG_SUFFIXES = (".config.js", ".config.cjs", ".config.mjs", ".json", ".yml", ".yaml", ".toml", ".ini", ".cfg")
# Scripts that only fork mode starts, each with what it is.
FOREIGN_PROGRAMS = {
    ".sh": "a shell script",
    ".bash": "a shell script",
    ".php": "a PHP program",
    ".rb": "a Ruby program",
    ".pl": "a Perl program",
    ".jar": "a Java program",
}
# What has to be built first, with what builds it.
SOURCES = {".go": "go build", ".rs": "cargo build", ".c": "a compiler", ".java": "javac"}
SOURCE_FOLDER = "src"  # the package around an app, if it is called so, says nothing
_BIN_FOLDERS = (".bin", "bin")
_FACTORY_CALL = "()"


def worker_kind(target: str, interpreter: str, exec_mode: ExecMode = "auto") -> AppKind:
    """Return what runs `target`; in cluster mode Node runs paths, and what is not imported and has an interpreter."""
    if exec_mode == "fork":
        return "fork"
    is_node = is_node_file(target) or _is_path(target) or (interpreter and not is_import(target))
    return "node" if is_node else "python"


def is_imported(target: str, interpreter: str, exec_mode: ExecMode = "auto") -> bool:
    """Whether `target` would be an object in a module of Python's, not a file."""
    return worker_kind(target, interpreter, exec_mode) == "python"


def is_node_interpreter(name: str) -> bool:
    """Whether a program of this name runs scripts as Node does."""
    return name in NODE_INTERPRETERS or (name.startswith("node") and name != "nodemon")


def is_any_program(target: str, interpreter: str, exec_mode: ExecMode) -> bool:
    """Whether `target` is a program that fork mode starts as it is."""
    return worker_kind(target, interpreter, exec_mode) == "fork"


def is_node_file(target: str) -> bool:
    """Whether the file name alone says that it is for Node: a script, or a package.json."""
    return target.endswith(NODE_SUFFIXES) or posixpath.basename(target) == PACKAGE_FILE


def _is_path(target: str) -> bool:
    if ":" in target or target.endswith(".py"):
        return False
    return target in (".", "..") or "/" in target


def check_target(target: str, interpreter: str = "", exec_mode: ExecMode = "auto") -> None:
    """Raise unless `target` has the form of one.

    Raises:
        UsageError: says what to type instead.
    """
    kind = worker_kind(target, interpreter, exec_mode)
    _refuse_no_program(target)
    if kind == "fork":
        _check_program(target)
        return
    if wrapper := wrapper_name(target):
        raise wrapper_refusal(wrapper)
    _refuse_foreign_program(target)
    if kind == "node":
        _check_script(target, interpreter)
    else:
        _check_import(target, interpreter)


def _refuse_no_program(target: str) -> None:
    if is_config_file(target):
        raise UsageError(
            f"{target!r} is a configuration file, and `fastlb start` and `fastlb check` read TOML, YAML, JSON and"
            " ecosystem.config.js: here type the app that it names"
        )
    if builder := SOURCES.get(posixpath.splitext(target)[1]):
        raise UsageError(f"{target!r} is source code: build it ({builder}), and start the program that comes of it")


def is_config_file(target: str) -> bool:
    """Whether the file name says that it tells another tool something, and is no program."""
    filename = posixpath.basename(target)
    return ":" not in target and filename != PACKAGE_FILE and filename.endswith(CONFIG_SUFFIXES)


def is_foreign_program(target: str) -> bool:
    """Whether the file name says that it is a script which fork mode alone starts."""
    return ":" not in target and posixpath.splitext(target)[1] in FOREIGN_PROGRAMS


def _refuse_foreign_program(target: str) -> None:
    if is_foreign_program(target):
        what = FOREIGN_PROGRAMS[posixpath.splitext(target)[1]]
        raise UsageError(
            f"{target!r} is {what}, and cluster mode runs apps of Python and Node: type `fastlb start --fork {target}`,"
            " or what it starts, MODULE:ATTRIBUTE or server.js"
        )


def _check_program(target: str) -> None:
    if not target.strip():
        raise UsageError(f"{target!r} is no program: type one, such as ./worker.sh or `npx -- serve -s dist`")


def wrapper_name(program: str) -> str:
    """Return which of WRAPPERS the first word of `program` starts; empty: none. `next/` is a directory."""
    word = (program.split() or [""])[0]
    folder, name = posixpath.split(word)
    is_program = not folder or posixpath.basename(folder) in _BIN_FOLDERS
    is_inside_package = "node_modules" in folder.split("/") and posixpath.basename(folder) != ".bin"
    return name if name in WRAPPERS and is_program and not is_inside_package else ""


def wrapper_refusal(wrapper: str, what_to_type: str = "", start_script: str = "") -> UsageError:
    """The message for a wrapper where a script belongs.

    Args:
        wrapper: one of WRAPPERS, or another program that does the same.
        what_to_type: instead; empty: what WRAPPERS says.
        start_script: what `scripts.start` of the package.json here runs; empty: not known.
    """
    what_to_type = what_to_type or WRAPPERS.get(wrapper, SOME_SCRIPT)
    told = f" (`npm start` runs {start_script!r} here)" if start_script else ""
    return UsageError(f"{wrapper!r} {_why_not(wrapper)}: type `{what_to_type}` instead{told}; or give --fork")


def _why_not(wrapper: str) -> str:
    if wrapper == "bun":
        return "cannot be handed connections, as its cluster speaks another protocol than Node's"
    return (
        "starts the app in a process of its own, which would bind the port itself in every worker"
        " instead of being handed connections"
    )


def _check_script(target: str, interpreter: str) -> None:
    command, _, rest = target.partition(" ")
    if command == "node" and rest:
        raise UsageError(f"{target!r} is a command, and fastlb starts node itself: type `fastlb start {rest}`")
    if interpreter and (not target or target.endswith(".py")):
        raise UsageError(f"{target!r} is no script for Node: give one, such as server.js, or leave out --interpreter")


def _check_import(target: str, interpreter: str) -> None:
    if is_node_interpreter(posixpath.basename(interpreter)):
        raise UsageError(
            f"{target!r} is a Python app, which --interpreter {interpreter} cannot run: leave out --interpreter, or"
            " give the python of a virtual environment"
        )
    module, colon, attribute = target.partition(":")
    if module.endswith(NODE_SUFFIXES):
        raise UsageError(f"{target!r}: a Node app is started by the name of its script alone: type {module}")
    if module.endswith(".py") or "/" in module:
        what_to_type = _target_of_file(module, attribute)
        raise UsageError(f"{target!r} is a file, and fastlb imports a module: {what_to_type}")
    if not colon or not attribute:
        example = f": {module}:app, for one" if _is_dotted_name(module) else f": {WHAT_TO_TYPE}, or server.js for Node"
        raise UsageError(f"{target!r} does not say which object of the module is the app{example}")
    if not is_import(target):
        raise UsageError(f"{target!r} cannot be imported: {WHAT_TO_TYPE}")


def name_from_target(target: str, interpreter: str = "", exec_mode: ExecMode = "auto") -> str:
    """Return the name of an app that was not given one: `shop` for `shop.api:app`, `server` for `dist/server.js`.

    Empty for a directory or a package.json: what is in it says the name.
    """
    kind = worker_kind(target, interpreter, exec_mode)
    if kind == "fork":
        target = (target.split() or [""])[0]
    if kind == "python":
        packages = [part for part in target.partition(":")[0].split(".") if part != SOURCE_FOLDER]
        return (packages or [SOURCE_FOLDER])[0][:64]
    filename = posixpath.basename(target)
    if filename in ("", ".", "..", PACKAGE_FILE):
        return ""
    stem, suffix = posixpath.splitext(filename)
    is_script = suffix in NODE_SUFFIXES or (kind == "fork" and suffix in (".py", *FOREIGN_PROGRAMS))
    return usable_name(stem if is_script else filename)


def usable_name(text: str) -> str:
    """Return `text` as the name of an app may be written: `acme-api` for `@acme/api`; may be empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:64]


def is_import(target: str) -> bool:
    """Whether `target` has the form of an object in a module."""
    module, _, attribute = target.partition(":")
    return _is_dotted_name(module) and _is_dotted_name(attribute.removesuffix(_FACTORY_CALL))


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _target_of_file(path: str, attribute: str) -> str:
    directory, _, filename = path.removesuffix(".py").rpartition("/")
    target = f"{filename}:{attribute or 'app'}"
    if not filename.isidentifier():
        return WHAT_TO_TYPE
    return f"type --app-dir {directory or '/'} {target}" if "/" in path else f"type {target}"
