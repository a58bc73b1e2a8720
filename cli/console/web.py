"""Owns what the console answers to which request. Runs in the user's shell.

GET changes nothing. Files of the page are read when it starts, by a fixed list: no path of a request names a file.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from ...supervisor.errors import FastlbError, UsageError
from ...supervisor.safe_text import escape_line
from .access import Access, Hosts, is_https
from .actions import ACTIONS, ActionParams
from .daemon_threads import in_thread
from .feeds import Feed
from .following import follow
from .guard import Guard, has_key, has_session
from .history import STEP_SECONDS
from .watch import Watch

PAGE = Path(__file__).parent / "page"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MAX_BODY_BYTES = 4096
BODY_SECONDS = 10.0
MAX_ACTIONS = 8
SPARK_POINTS = 100
COOKIE_SECONDS = 30 * 24 * 3600

Params = TypeVar("Params", bound=msgspec.Struct)


class LoginParams(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser begins with."""

    token: str


@dataclass(frozen=True)
class Console:
    """What the answers are made of. `may_act`: whether a page may have something done."""

    watch: Watch
    access: Access
    hosts: Hosts
    may_act: bool


class BadRequest(Exception):
    """What a request says is not what is expected there."""


def app_of(console: Console) -> ASGIApp:
    """Return the ASGI app of a console."""
    answers = _Answers(console)
    files = {f"/{path.name}": path for path in sorted(PAGE.iterdir()) if path.suffix in TYPES}
    routes = [
        Route("/", answers.page),
        Route("/login", answers.log_in, methods=["POST"]),
        Route("/api/state", answers.state),
        Route("/api/sparks", answers.sparks),
        Route("/api/history/{name}", answers.history),
        Route("/api/stream", answers.stream),
        Route("/api/apps/{name}/{action}", answers.act, methods=["POST"]),
        *(Route(path, _file_answer(file)) for path, file in files.items()),
    ]
    app = Starlette(routes=routes, lifespan=answers.lifespan, exception_handlers={BadRequest: _bad_request})
    return Guard(app, console.access, console.hosts, frozenset(("/", "/login", *files)))


class _Answers:
    """The endpoints."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._watch = console.watch
        self._access = console.access
        self._actions = 0
        head = (PAGE / "head.html").read_bytes()
        self._pages = {name: head + (PAGE / name).read_bytes() for name in ("index.html", "login.html")}

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Look at the apps as long as the server runs."""
        looking = asyncio.create_task(self._watch.run())
        try:
            yield
        finally:
            looking.cancel()

    async def page(self, request: Request) -> Response:
        """The page; for whom has not shown the token the one that asks for it."""
        if has_session(request, self._access):
            return Response(self._pages["index.html"], media_type="text/html")
        return Response(self._pages["login.html"], 401, media_type="text/html")

    async def log_in(self, request: Request) -> Response:
        """A browser shows the token."""
        params = await _body_of(request, LoginParams)
        now = monotonic()
        if not self._access.may_try(now):
            return PlainTextResponse("too many wrong tokens: wait a minute\n", 429)
        if not self._access.knows_token(params.token, now):
            return PlainTextResponse("this is not the token\n", 401)
        response = _json({"key": self._access.key})
        response.set_cookie(
            self._access.cookie,
            self._access.session,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=is_https(request.url.scheme, request.headers.get("origin")),
        )
        return response

    async def state(self, _: Request) -> Response:
        """All that is known of all apps now."""
        return Response(self._watch.state, media_type="application/json")

    async def sparks(self, _: Request) -> Response:
        """Requests a second of the last minutes, of all apps."""
        values = self._watch.histories.latest("requests_per_s", SPARK_POINTS)
        return _json({"step_s": STEP_SECONDS, "requests_per_s": values})

    async def history(self, request: Request) -> Response:
        """The last hour of an app."""
        name = self._known(request.path_params["name"])
        return _json({"app": name, "step_s": STEP_SECONDS, "series": self._watch.histories.of(name)})

    async def stream(self, request: Request) -> Response:
        """What happens, as server-sent events; with `logs=NAME` the log of an app as well."""
        logs = request.query_params.get("logs", "")
        if logs:
            self._known(logs)
        feed = self._watch.open_feed()
        if feed is None:
            return PlainTextResponse("too many pages are open: close some\n", 503)
        if logs:
            follow(logs, feed)
        return StreamingResponse(self._messages(feed), media_type="text/event-stream")

    async def act(self, request: Request) -> Response:
        """Have something done to an app; the answer comes when it is done."""
        if not self._console.may_act:
            return _outcome(False, "this console only shows: `fastlb console --allow-actions`", 403)
        if not has_key(request, self._access):
            return _outcome(False, "this page may only look: open the link that `fastlb console` has printed", 403)
        name = self._known(request.path_params["name"])
        action = request.path_params["action"]
        if action not in ACTIONS:
            raise BadRequest(f"there is no {escape_line(action)}: {', '.join(ACTIONS)}")
        params = await _body_of(request, ActionParams)
        if self._actions >= MAX_ACTIONS:
            return _outcome(False, "too much is being done: wait until something has ended", 503)
        self._actions += 1
        try:
            return await self._do(action, name, params, request)
        finally:
            self._actions -= 1

    async def _do(self, action: str, name: str, params: ActionParams, request: Request) -> Response:
        whose = request.client.host if request.client else "somebody"
        sys.stderr.write(f"{action} {name}: asked for by {whose}\n")
        sys.stderr.flush()
        try:
            text = await in_thread(lambda: ACTIONS[action](name, params))
        except FastlbError as error:
            return _outcome(False, error.message, 400 if isinstance(error, UsageError) else 409, error.details)
        return _outcome(True, text)

    def _known(self, name: str) -> str:
        if name not in self._watch.names:
            raise BadRequest("there is no such app")
        return name

    async def _messages(self, feed: Feed) -> AsyncIterator[bytes]:
        try:
            while found := await feed.next():
                yield found
        finally:
            self._watch.close_feed(feed)


async def _body_of(request: Request, type_: type[Params]) -> Params:
    """Return what a request says.

    Raises:
        BadRequest: it is no JSON, or not what is expected.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise BadRequest("the content must be application/json")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read_body(request)
        return msgspec.json.decode(body, type=type_)
    except TimeoutError:
        raise BadRequest(f"the content did not come within {BODY_SECONDS:g} s") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRequest(str(error)) from None


async def _read_body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise BadRequest("the content is too long")
    return body


def _file_answer(file: Path) -> Callable[[Request], Awaitable[Response]]:
    content = file.read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=TYPES[file.suffix])

    return answer


async def _bad_request(_: Request, error: Exception) -> Response:
    return _outcome(False, str(error), 400)


def _outcome(is_done: bool, text: str, status: int = 200, details: str = "") -> Response:
    return _json({"ok": is_done, "text": text, "details": details}, status)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
