"""Owns telling by a request of HTTP. Runs in a thread of the supervisor process.

What is answered is not read beyond its head, redirects are not followed: the address is a secret, which is for one
host. Nothing of it is in what is said of a failure.
"""

import base64
import contextlib
import http.client
import ssl
from urllib.parse import SplitResult, unquote

from ...settings.alerting import parse_webhook, split_form
from ..message import Message, body_in, form_of_host
from .cut_off import STEP_SECONDS, WHOLE_SECONDS, cut_off, words_of

USER_AGENT = "fastlb-alerts"


def post(hook: str, message: Message, *, step: float = STEP_SECONDS, whole: float = WHOLE_SECONDS) -> str:
    """Send a message to the address of a webhook; return "" when it was taken, else why not.

    `step`, `whole`: seconds for one step of the conversation, and for all of it.
    """
    parts = parse_webhook(hook)
    form = split_form(hook)[0] or form_of_host(parts.hostname or "")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Connection": "close"}
    headers |= _authorization(parts)
    try:
        with contextlib.closing(_connection(parts, step)) as connection, cut_off(lambda: connection.sock, whole):
            connection.request("POST", path, body_in(form, message), headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return words_of(error)
    return "" if 200 <= status < 300 else f"it answered {status}"


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout)


def _authorization(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(words).decode()}"}
