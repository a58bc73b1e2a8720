"""Owns the way from the target of a Node app to the file that node is to run.

Runs in the supervisor and in the user's shell, with the app's cwd as working directory. It reads, and must
never run the file.
"""

import os

from ...errors import UsageError
from ...processes.programs import shebang_program
from ...settings.targets import NODE_SUFFIXES, PACKAGE_FILE, SOME_SCRIPT, WRAPPERS, wrapper_refusal
from ...suggestions import nearest
from .package_file import Package, read_package, script_that_starts, start_script

DEFAULT_MAIN = "index.js"
SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh")


def resolve_script(target: str) -> str:
    """Return the absolute path of the script that `target` means: it, or the `main` of a package.

    Raises:
        UsageError: there is no such file, or it is no script that can be a worker.
    """
    path = os.path.abspath(target)
    if os.path.basename(path) == PACKAGE_FILE and os.path.isfile(path):
        path = os.path.dirname(path)
    script = _main_of(path) if os.path.isdir(path) else path
    if not os.path.isfile(script):
        raise _missing(script)
    _refuse_shim(script)
    return script


def _main_of(directory: str) -> str:
    package = read_package(directory)
    main = os.path.normpath(os.path.join(directory, package.main or DEFAULT_MAIN))
    # As require() does.
    for script in (main, f"{main}.js", os.path.join(main, DEFAULT_MAIN)):
        if os.path.isfile(script):
            return script
    raise UsageError(_no_main(directory, main, package))


def _no_main(directory: str, main: str, package: Package) -> str:
    said = f"{PACKAGE_FILE} names" if package.main else f"there is no `main` in a {PACKAGE_FILE} there, nor"
    script = os.path.relpath(os.path.join(directory, script_that_starts(package.start_script) or "server.js"))
    told = f" (`npm start` runs {package.start_script!r})" if package.start_script else ""
    missing = f", which does not exist{suggest_file(main)}" if package.main else ""
    return f"{directory}: {said} {os.path.relpath(main, directory)}{missing}: type `fastlb start {script}`{told}"


def _missing(script: str) -> UsageError:
    return UsageError(f"there is no file {script} (working directory: {os.getcwd()}){suggest_file(script)}")


def suggest_file(path: str) -> str:
    """Return `; did you mean FILE?` for the script in the directory of `path` that is most like it, or nothing."""
    directory, name = os.path.split(path)
    try:
        siblings = [file for file in os.listdir(directory) if file.endswith(NODE_SUFFIXES)]
    except OSError:
        return ""
    found = nearest(name, siblings)
    return f"; did you mean {os.path.relpath(os.path.join(directory, found))}?" if found else ""


def refusal_here(wrapper: str, directory: str = ".") -> UsageError:
    """Return the message for a wrapper, with what the package.json of `directory` says about the script behind it."""
    return wrapper_refusal(wrapper, what_to_type_here(wrapper, directory), start_script(directory))


def what_to_type_here(wrapper: str, directory: str = ".") -> str:
    """Return how the app behind a wrapper is started without it, as the package.json here says; empty: unknown."""
    usual = WRAPPERS.get(wrapper, SOME_SCRIPT)
    script = script_that_starts(start_script(directory))
    if usual != SOME_SCRIPT:
        return usual
    return f"fastlb start {script}" if script else ""


def _refuse_shim(script: str) -> None:
    """A program of npm's: node itself started with it would start the app in another process."""
    name = os.path.basename(script)
    if os.path.basename(os.path.dirname(script)) == ".bin":
        raise _link_refusal(script) if os.path.islink(script) and name not in WRAPPERS else refusal_here(name)
    interpreter = shebang_program(script)
    if interpreter in SHELLS:
        raise refusal_here(name)
    if interpreter.startswith("python"):
        raise UsageError(f"{script} is a Python program: type MODULE:ATTRIBUTE, such as server:app")


def _link_refusal(script: str) -> UsageError:
    meant = os.path.relpath(os.path.realpath(script))
    return UsageError(f"{os.path.relpath(script)} is a link that npm made: type `fastlb start {meant}` instead")
