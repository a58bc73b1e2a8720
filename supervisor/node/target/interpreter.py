"""Owns what runs a Node app's script: which node can, asking its version, and what TypeScript needs of it.

Runs in the supervisor and in the user's shell, with the app's cwd as working directory. It runs
`node --version` and nothing else, and must never install anything.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import FastlbError, UsageError
from ...processes.programs import answer_of
from ...settings.targets import TYPESCRIPT_SUFFIXES, WRAPPERS, wrapper_refusal

Version = tuple[int, int, int]

OLDEST_NODE: Version = (16, 0, 0)
INSTALL_NODE = "install Node (nodejs.org), or give --interpreter PATH"
# With one of these among node's options, who compiles TypeScript is the user's business.
LOADER_OPTIONS = ("--import", "--loader", "--experimental-loader", "--require", "-r", "--experimental-strip-types")


def refuse_unsupported(interpreter: str, target: str) -> None:
    """Raise for what cannot run a worker from the script `target`, although it runs scripts.

    Raises:
        UsageError: Bun, Python, or a program that starts the app in another process.
    """
    name = os.path.basename(interpreter)
    if name in WRAPPERS and name not in ("tsx", "deno"):
        option = "--interpreter tsx " if name == "ts-node" else ""
        raise wrapper_refusal(name, f"fastlb start {option}{target}")
    if name.startswith("python"):
        raise UsageError(f"--interpreter {interpreter}: a Python app needs none, and is started as MODULE:ATTRIBUTE")


def node_version(path: str, env: Mapping[str, str]) -> Version:
    """Return the version of the node at `path`.

    Raises:
        FastlbError: it does not say one, or one that is too old.
    """
    answer = answer_of([path, "--version"], env, INSTALL_NODE)
    if "NODE_OPTIONS" in answer:
        why = answer.removeprefix(f"{path}: ")[:200]
        raise FastlbError(f"{path} does not start: {why}: give it as an option, --node-args, or leave it out")
    match = re.match(r"v(\d{1,6})\.(\d{1,6})\.(\d{1,6})", answer)
    if not match:
        raise FastlbError(f"{path} --version answers {answer[:200]!r}, not a version of Node: {INSTALL_NODE}")
    major, minor, patch = map(int, match.groups())
    if (major, minor, patch) < OLDEST_NODE:
        raise FastlbError(f"{path} is Node {answer}, and fastlb needs 16 or newer: {INSTALL_NODE}")
    return major, minor, patch


def typescript_options(version: Version, script: str, node_options: Sequence[str]) -> list[str]:
    """Return the options that make this node run `script`: none for JavaScript.

    Raises:
        UsageError: neither node nor the packages here can run TypeScript.
        FastlbError: as `tsx_options`.
    """
    if not script.endswith(TYPESCRIPT_SUFFIXES) or _strips_types(version) or _has_loader(node_options):
        return []
    if _tsx_import(script):
        return tsx_options(version, script)
    raise UsageError(
        f"{script} is TypeScript, which Node {show(version)} does not run: compile it and start the .js file,"
        " or `npm install tsx`, or use Node 22.18 or newer"
    )


def tsx_options(version: Version, script: str) -> list[str]:
    """Return the options that make node load tsx in the same process.

    Raises:
        FastlbError: tsx is not installed, or node is too old for it.
    """
    specifier = _tsx_import(script)
    if not specifier:
        raise FastlbError(f"tsx is not installed in {os.getcwd()} or above: `npm install tsx`")
    if version < (18, 19, 0) or (19, 0, 0) <= version < (20, 6, 0):
        raise FastlbError(f"tsx needs `node --import`, and this is Node {show(version)}: use 18.19, 20.6 or newer")
    return ["--import", specifier]


def show(version: Version) -> str:
    """Return `20.1.2`."""
    return ".".join(map(str, version))


def _strips_types(version: Version) -> bool:
    return version >= (23, 6, 0) or (22, 18, 0) <= version < (23, 0, 0)


def _has_loader(node_options: Sequence[str]) -> bool:
    return any(option.partition("=")[0] in LOADER_OPTIONS for option in node_options)


def _tsx_import(script: str) -> str:
    """What `--import` is to say: node looks for a bare name from its working directory upward only."""
    if _package_above(Path.cwd(), "tsx"):
        return "tsx"
    package = _package_above(Path(script).parent, "tsx")
    loader = package / "dist" / "loader.mjs" if package else None
    return loader.as_uri() if loader and loader.is_file() else ""


def _package_above(directory: Path, name: str) -> Path | None:
    candidates = (folder / "node_modules" / name for folder in (directory, *directory.parents))
    return next((candidate for candidate in candidates if candidate.is_dir()), None)
