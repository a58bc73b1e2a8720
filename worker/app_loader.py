"""Owns the way from a target such as `shop.web:app` to the app and its interface. Runs in workers, once.

What a user did wrong is said in one sentence; what the app did wrong is shown as its own traceback, without
our frames. Nothing that the app raises leaves this module as it is.
"""

import importlib
import pkgutil
import re
import sys
import threading
import traceback
from _thread import start_new_thread  # before an app can replace it
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NoReturn

import msgspec

from .app_interface import UndecidableInterface, find_interface
from .nearest_word import nearest_word
from .wire import WorkerConfig

GREEN_THREADS = (
    "the app has replaced Python's threads (monkey-patched by gevent or eventlet), and WSGI apps are run in real "
    "threads, where the replacement's locks hang: leave the patching out, and say --threads N for more at a time"
)
OUR_FOLDER = str(Path(__file__).parent)
TARGET = re.compile(r"(?P<module>[\w.]+):(?P<attribute>[\w.]+)(?P<call>\(\))?")


class AppLoadError(Exception):
    """The app could not be loaded. Fields as in wire.StartupFailed; `origin`: what the app raised."""

    def __init__(
        self, reason: str, app_traceback: str = "", usage: bool = False, origin: BaseException | None = None
    ) -> None:
        super().__init__(reason)
        self.origin = origin
        self.reason = reason
        self.traceback = app_traceback
        self.usage = usage


class LoadedApp(msgspec.Struct, frozen=True):
    """An app and its interface."""

    app: Any
    interface: Literal["asgi", "wsgi"]


def load_app(config: WorkerConfig) -> LoadedApp:
    """Import and return the app of `config.target`, with import path and sys.argv as it expects them.

    Raises AppLoadError.
    """
    app_dir = str(Path(config.app_dir).resolve())
    prepare_interpreter(app_dir, [config.target, *config.args])
    target = TARGET.fullmatch(config.target)
    if target is None or target["module"].endswith(".py"):
        raise AppLoadError(malformed_target(config.target), usage=True)
    module = import_app_module(target["module"], app_dir)
    app = resolve_attribute(module, target["attribute"])
    if config.factory or target["call"]:
        app = call_factory(app, config.target)
    try:
        interface = find_interface(app, config.interface)
    except UndecidableInterface as error:
        raise AppLoadError(f"{config.target}: {error}", usage=True) from None
    if interface == "wsgi" and threading._start_new_thread is not start_new_thread:  # type: ignore[attr-defined]
        raise AppLoadError(f"{config.target}: {GREEN_THREADS}", usage=True)
    return LoadedApp(app, interface)


def prepare_interpreter(app_dir: str, arguments: list[str]) -> None:
    """Put `app_dir` in front of the import path, for the current directory that `python -m` puts there."""
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", str(Path.cwd())):
        del sys.path[0]
    sys.path.insert(0, app_dir)
    sys.argv = arguments


def malformed_target(target: str) -> str:
    """Return a sentence that shows how `target` should have been written."""
    module, _, attribute = target.partition(":")
    module = module.removesuffix(".py").strip("./").replace("/", ".") or "module"
    return f'target "{target}" must be module:attribute, for example {module}:{attribute or "app"}'


def import_app_module(name: str, app_dir: str) -> ModuleType:
    """Import the module; what its code raises becomes its traceback. Raises AppLoadError."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise AppLoadError(unknown_module(error.name, app_dir), usage=True) from None
        raise_app_failure(f'module "{name}" failed at import: {error}', error)
    except SystemExit as error:
        raise_app_failure(f'module "{name}" exited at import (sys.exit({error.code!r}))', error)
    except BaseException as error:  # noqa: BLE001 - whatever the app's code raises
        raise_app_failure(f'module "{name}" failed at import: {describe(error)}', error)


def unknown_module(name: str, app_dir: str) -> str:
    """Return a sentence about the missing module with the nearest name in its package or the app's directory."""
    parent, _, last = name.rpartition(".")
    if parent:
        package = sys.modules.get(parent)
        path = list(getattr(package, "__path__", []))
        if not path:
            return f'no module named "{name}": "{parent}" is a module, not a package'
        nearest = nearest_name(last, [found.name for found in pkgutil.iter_modules(path)])
        return f'no module named "{name}"{suggestion(f"{parent}.{nearest}" if nearest else "")}'
    here = [found.name for found in pkgutil.iter_modules([app_dir])]
    # Only of the app's own: any word is like one of the hundreds of modules that are installed.
    nearest = nearest_name(name, here)
    return f'no module named "{name}" in {app_dir} or among the installed packages{suggestion(nearest)}'


def resolve_attribute(module: ModuleType, path: str) -> Any:
    """Return `module.path`, which may be dotted. Raises AppLoadError with the nearest name."""
    found: Any = module
    for index, name in enumerate(path.split(".")):
        try:
            found = getattr(found, name)
        except AttributeError:
            owner = ".".join([module.__name__, *path.split(".")[:index]])
            nearest = nearest_name(name, [known for known in dir(found) if not known.startswith("__")])
            file = f" ({module.__file__})" if getattr(module, "__file__", None) else ""
            reason = f'"{owner}"{file} has no attribute "{name}"{suggestion(nearest)}'
            raise AppLoadError(reason, usage=True) from None
    return found


def call_factory(factory: Any, target: str) -> Any:
    """Return the app that `factory` makes. Raises AppLoadError."""
    if not callable(factory):
        raise AppLoadError(f"{target} is no factory: it cannot be called", usage=True)
    try:
        return factory()
    except SystemExit as error:
        raise_app_failure(f"factory {target} exited (sys.exit({error.code!r}))", error)
    except BaseException as error:  # noqa: BLE001 - whatever the app's code raises
        raise_app_failure(f"factory {target} failed: {describe(error)}", error)


def raise_app_failure(reason: str, error: BaseException) -> NoReturn:
    """Raise AppLoadError with the app's own part of the traceback of `error`."""
    raise AppLoadError(reason, app_traceback(error), origin=error) from None


def app_traceback(error: BaseException) -> str:
    """Return the traceback of `error` and its causes without the frames of importlib and of this package."""
    report = traceback.TracebackException.from_exception(error)
    waiting = [report]
    while waiting:
        part = waiting.pop()
        part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if is_app_frame(frame)])
        waiting += [linked for linked in (part.__cause__, part.__context__) if linked is not None]
    return "".join(report.format())


def is_app_frame(frame: traceback.FrameSummary) -> bool:
    """Say whether a frame of a traceback is neither ours nor the import system's."""
    importing = frame.filename.startswith("<frozen importlib") or frame.filename == importlib.__file__
    return not importing and not frame.filename.startswith(OUR_FOLDER)


def describe(error: BaseException) -> str:
    """Return the class and the first line of the message of `error`."""
    return traceback.format_exception_only(error)[-1].strip()


def nearest_name(name: str, known: list[str]) -> str:
    """Return the known name most like `name`, "" when none is."""
    return nearest_word(name, known) or ""


def suggestion(nearest: str) -> str:
    """Return the end of a sentence that offers `nearest`."""
    return f'; did you mean "{nearest}"?' if nearest else ""
