"""Owns finding out by looking whether an app is ASGI or WSGI. Runs in workers, once; pure, and never calls the app.

ASGI 3 is called with (scope, receive, send) and is awaited; WSGI with (environ, start_response). Where that
cannot be seen, as in a wrapper that takes anything, `interface` decides.
"""

import inspect
from typing import Any, Literal

Interface = Literal["asgi", "wsgi"]

ASGI_ARGUMENTS = 3
WSGI_ARGUMENTS = 2
OWN_SERVERS = {"aiohttp": "aiohttp.web.run_app()", "tornado": "app.listen()"}
# Makes a WSGI app of a function of one argument, whose signature is then shown as the app's (Request.application).
WERKZEUG_WRAPPER = "werkzeug.wrappers.request"


class UndecidableInterface(Exception):
    """The object is no app, or not seen to be one; the message completes the sentence "TARGET: ..."."""


def find_interface(app: Any, interface: str = "auto") -> Interface:
    """Return the interface of `app`; `interface` other than "auto" decides. Raises UndecidableInterface."""
    if not callable(app):
        if inspect.iscoroutine(app):
            app.close()
            raise UndecidableInterface("the factory is a coroutine function; it must return the app at once")
        raise UndecidableInterface(f"{type(app).__name__} object is neither an ASGI nor a WSGI app")
    if interface != "auto":
        return "asgi" if interface == "asgi" else "wsgi"
    framework = type(app).__module__.partition(".")[0]
    if framework in OWN_SERVERS:
        raise UndecidableInterface(
            f"an app of {framework} is neither ASGI nor WSGI: it has a server of its own ({OWN_SERVERS[framework]}),"
            " which cannot be run here"
        )
    if getattr(app, "__globals__", {}).get("__name__") == WERKZEUG_WRAPPER:
        return "wsgi"
    if not inspect.isclass(app) and _is_awaited(app):
        _check_awaited(app)
        return "asgi"
    return _interface_by_arguments(app)


def _check_awaited(app: Any) -> None:
    """Raise UndecidableInterface when `app`, a coroutine function, cannot be called as an ASGI app."""
    least, most = _positional_arguments(app)
    if _looks_like_factory(least, most):
        raise UndecidableInterface(
            "a coroutine function that needs no argument, so it looks like a factory; a factory must be a plain"
            " function that returns the app at once"
        )
    if not least <= ASGI_ARGUMENTS <= most:
        raise UndecidableInterface(_wrong_arguments(least, most))


def _looks_like_factory(least: int, most: float) -> bool:
    """Say whether a call needs nothing, though it may take something; `def app(*arguments)` may be anything."""
    return least == 0 and most != float("inf")


def _is_awaited(app: Any) -> bool:
    """Say whether calling `app` gives a coroutine, which no WSGI app does."""
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)


def _interface_by_arguments(app: Any) -> Interface:
    least, most = _positional_arguments(app)
    if _looks_like_factory(least, most):
        raise UndecidableInterface(_wrong_arguments(least, most))
    takes_asgi = least <= ASGI_ARGUMENTS <= most
    takes_wsgi = least <= WSGI_ARGUMENTS <= most
    if takes_asgi and not takes_wsgi:
        return "asgi"
    if takes_wsgi and not takes_asgi:
        return "wsgi"
    if takes_asgi:
        raise UndecidableInterface(
            "cannot tell whether this is an ASGI or a WSGI app: say --interface asgi or wsgi"
        )
    raise UndecidableInterface(_wrong_arguments(least, most))


def _positional_arguments(app: Any) -> tuple[int, float]:
    """Return how many positional arguments a call needs at least and takes at most."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return 0, float("inf")  # no signature to see, as with some compiled functions
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    most = float("inf") if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    return sum(p.default is p.empty for p in positional), most


def _wrong_arguments(least: int, most: float) -> str:
    if _looks_like_factory(least, most):
        return "needs no argument, so it looks like a factory: say --factory or write module:name()"
    if least == 1:
        return "takes one argument: an ASGI 2 app; wrap it in asgiref.compatibility.guarantee_single_callable"
    expected = "an ASGI app takes 3 (scope, receive, send), a WSGI app 2 (environ, start_response)"
    return f"takes {least} arguments; {expected}"
