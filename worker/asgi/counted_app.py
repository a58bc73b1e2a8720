"""Owns counting the responses of an app that uvicorn's own protocols serve (`http`: httptools, h11), which tell nobody.

Runs in ASGI workers, around the app. It looks at what passes and changes nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastlb.lb.page import WorkerStatus

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[dict[str, Any], Receive, Send], Awaitable[object]]  # uvicorn says what is not None

FAILED = 500  # what uvicorn answers in the place of an app that has not


def counted(app: AsgiApp, status: WorkerStatus) -> AsgiApp:
    """Return an app that serves as `app` does, and counts each response on the page, at its begin."""

    async def serve(scope: dict[str, Any], receive: Receive, send: Send) -> object:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        is_answered = False

        async def note(message: Message) -> None:
            nonlocal is_answered
            await send(message)
            if message["type"] == "http.response.start":
                is_answered = True
                status.record_response(message["status"])

        try:
            return await app(scope, receive, note)
        except BaseException:
            if not is_answered:
                status.record_response(FAILED)
            raise

    return serve
