"""Owns the form of a target, `module:attribute` or `module:factory()`, and the app name made from it. Pure.

It never imports the target: whether it exists is found out by the worker.
"""

from .errors import UsageError

NODE_SUFFIXES = (".js", ".mjs", ".cjs", ".ts")
WHAT_TO_TYPE = "type MODULE:ATTRIBUTE, such as server:app for `app` in server.py"


def check_target(target: str) -> None:
    """Raise unless `target` has the form of one.

    Raises:
        UsageError: says what to type instead.
    """
    module, colon, attribute = target.partition(":")
    if module.endswith(NODE_SUFFIXES):
        raise UsageError(f"{target!r} is a Node app: those come later, for now fastlb starts Python apps")
    if module.endswith(".py") or "/" in module:
        what_to_type = _target_of_file(module, attribute)
        raise UsageError(f"{target!r} is a file, and fastlb imports a module: {what_to_type}")
    if not colon or not attribute:
        example = f": {module}:app, for one" if _is_dotted_name(module) else f": {WHAT_TO_TYPE}"
        raise UsageError(f"{target!r} does not say which object of the module is the app{example}")
    if not _is_dotted_name(module) or not _is_dotted_name(attribute.removesuffix("()")):
        raise UsageError(f"{target!r} cannot be imported: {WHAT_TO_TYPE}")


def name_from_target(target: str) -> str:
    """Return the name of an app that was not given one: `main` for `pkg.main:app`."""
    return target.partition(":")[0].rpartition(".")[2][:64]


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _target_of_file(path: str, attribute: str) -> str:
    directory, _, filename = path.removesuffix(".py").rpartition("/")
    target = f"{filename}:{attribute or 'app'}"
    if not filename.isidentifier():
        return WHAT_TO_TYPE
    return f"type --app-dir {directory or '/'} {target}" if "/" in path else f"type {target}"
