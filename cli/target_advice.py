"""Owns what to type for a Python target that names no module with its app, where the file is there to be looked at.

Runs in the user's shell. It reads the file, and must never run it.
"""

import ast
import os

MAX_SOURCE_BYTES = 1 << 20
APP_NAMES = ("app", "application", "api", "asgi", "wsgi", "server")
FACTORY_NAMES = ("create_app", "make_app", "create_application", "make_application")


def what_to_type(target: str, cwd: str, app_dir: str) -> str:
    """Return `--app-dir src shop.api:app` for `src/shop/api.py`; empty: there is no such file, or it is no module.

    `cwd` and `app_dir` as in AppConfig.
    """
    module, colon, attribute = target.partition(":")
    if module.endswith(".py"):
        path = os.path.normpath(os.path.join(cwd, module))
        return _for_file(path, attribute, cwd) if os.path.isfile(path) else ""
    if colon:
        return ""
    stem = os.path.join(cwd, app_dir, *module.split("."))
    found = [path for path in (f"{stem}.py", os.path.join(stem, "__init__.py")) if os.path.isfile(path)]
    return _spelled("", module, app_attribute(found[0])) if found else ""


def served_app(target: str, cwd: str, app_dir: str) -> str:
    """Return what to type for the app in a Python file that can be run as well; empty: there is none in it."""
    path = os.path.normpath(os.path.join(cwd, target))
    has_app = target.endswith(".py") and os.path.isfile(path) and found_attribute(path)
    return what_to_type(target, cwd, app_dir) if has_app else ""


def _for_file(path: str, attribute: str, cwd: str) -> str:
    root = os.path.dirname(path)
    if not _is_package(root) and _has_relative_import(path):
        root = os.path.dirname(root)
    while _is_package(root):
        root = os.path.dirname(root)
    parts = os.path.relpath(path, root).removesuffix(".py").removesuffix("/__init__").split("/")
    if not all(part.isidentifier() for part in parts):
        return ""
    directory = os.path.relpath(root, cwd)
    option = "" if directory == "." else f"--app-dir {root if directory.startswith('..') else directory} "
    return _spelled(option, ".".join(parts), attribute or app_attribute(path))


def _spelled(option: str, module: str, attribute: str) -> str:
    target = f"{module}:{attribute}"
    return option + (f"'{target}'" if attribute.endswith("()") else target)


def app_attribute(path: str) -> str:
    """Return what in the module at `path` is probably the app: a name, or a factory with its parentheses."""
    return found_attribute(path) or ("application" if os.path.basename(path) in ("wsgi.py", "asgi.py") else "app")


def is_script(path: str) -> bool:
    """Whether the Python file at `path` does something when it is run: it asks for its `__name__`, or has no app."""
    asks_name = any(
        isinstance(node, ast.Name) and node.id == "__name__"
        for statement in _statements(path)
        if isinstance(statement, ast.If)
        for node in ast.walk(statement.test)
    )
    return asks_name or not (found_attribute(path) or _has_relative_import(path))


def found_attribute(path: str) -> str:
    """Return the name in the module at `path` that apps usually have, or such a factory; empty: there is none."""
    variables, functions = _names(path)
    for name in APP_NAMES:
        if name in variables | functions:
            return name
    for name in FACTORY_NAMES:
        if name in functions:
            return f"{name}()"
    return ""


def _names(path: str) -> tuple[set[str], set[str]]:
    """Return the names of the variables and of the functions that a module has, as far as can be seen."""
    variables: set[str] = set()
    functions: set[str] = set()
    for statement in _statements(path):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.add(statement.name)
        elif isinstance(statement, ast.Assign):
            variables |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            variables.add(statement.target.id)
        elif isinstance(statement, ast.ImportFrom):
            variables |= {alias.asname or alias.name for alias in statement.names}
    return variables, functions


def _has_relative_import(path: str) -> bool:
    return any(isinstance(statement, ast.ImportFrom) and statement.level for statement in _statements(path))


def _statements(path: str) -> list[ast.stmt]:
    try:
        with open(path, "rb") as file:
            return ast.parse(file.read(MAX_SOURCE_BYTES)).body
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []


def _is_package(directory: str) -> bool:
    return os.path.isfile(os.path.join(directory, "__init__.py"))
