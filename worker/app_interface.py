"""Owns finding out by looking whether an app is ASGI or WSGI. Runs in workers, once; pure, and never calls the app.

ASGI 3 is called with (scope, receive, send) and is awaited; WSGI with (environ, start_response). Where that
cannot be seen, as in a wrapper that takes anything, `interface` decides.
"""

import inspect
from typing import Any, Literal

Interface = Literal["asgi", "wsgi"]

ASGI_ARGUMENTS = 3
WSGI_ARGUMENTS = 2


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
    if not inspect.isclass(app) and _is_awaited(app):
        return "asgi"
    return _interface_by_arguments(app)


def _is_awaited(app: Any) -> bool:
    """Say whether calling `app` gives a coroutine, which no WSGI app does."""
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)


def _interface_by_arguments(app: Any) -> Interface:
    least, most = _positional_arguments(app)
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
    if most == 0 or least == 0:
        return "takes no argument, so it looks like a factory: say --factory or write module:name()"
    if least == 1:
        return "takes one argument: an ASGI 2 app; wrap it in asgiref.compatibility.guarantee_single_callable"
    expected = "an ASGI app takes 3 (scope, receive, send), a WSGI app 2 (environ, start_response)"
    return f"takes {least} arguments; {expected}"
