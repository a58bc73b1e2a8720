"""Owns what stands before every answer: who may ask, and the headers that keep a browser from doing more than it shall.

Runs in the user's shell. Each request is looked at, whatever its path: the name by which we are called, where it comes
from, and the session.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import KEY_HEADER, Access, Hosts, is_same_origin, same

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
METHODS = ("GET", "HEAD", "POST")


class Guard:
    """An ASGI app around another one.

    Args:
        app: which answers what is let through.
        access: what a browser must know.
        hosts: by which names we may be called.
        public: paths that say nothing of apps, and are for everybody.
    """

    def __init__(self, app: ASGIApp, access: Access, hosts: Hosts, public: frozenset[str]) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(Request(scope)) or self._app
        await answer(scope, receive, _with_headers(send))

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if not self._hosts.allow(host):
            return PlainTextResponse("this console is not called so: see `fastlb console --host`\n", 421)
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        # A link to the page from elsewhere is followed; without the cookie, which browsers do not send then.
        is_followed = request.method == "GET" and request.url.path == "/" and origin is None
        if not is_followed and not is_same_origin(host, origin, site):
            return PlainTextResponse("requests of other pages are not answered\n", 403)
        if request.method not in METHODS:
            return PlainTextResponse("only GET and POST\n", 405, {"allow": ", ".join(METHODS)})
        if request.url.path in self._public or self._has_session(request):
            return None
        return PlainTextResponse("open the link that `fastlb console` has printed\n", 401)

    def _has_session(self, request: Request) -> bool:
        return has_session(request, self._access)


def has_session(request: Request, access: Access) -> bool:
    """Whether a browser has shown the token before."""
    return same(request.cookies.get(access.cookie, ""), access.session)


def has_key(request: Request, access: Access) -> bool:
    """Whether a request is of a page that has shown the token itself."""
    return same(request.headers.get(KEY_HEADER, ""), access.key)


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def send_more(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return send_more
