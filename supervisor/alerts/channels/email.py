"""Owns telling by e-mail. Runs in a thread of the supervisor process.

A password goes over TLS alone, or to this machine. Nothing of it, nor of what the server says, is in what is said of a
failure, but the code.
"""

import contextlib
import smtplib
import ssl
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from urllib.parse import SplitResult, unquote

from ...settings.alerting import parse_smtp
from ..message import Message, plain_text, subject
from .cut_off import STEP_SECONDS, WHOLE_SECONDS, cut_off, words_of

LOCAL = ("localhost", "127.0.0.1", "::1")
CONTEXT: Callable[[], ssl.SSLContext] = ssl.create_default_context


class _NoLogin(Exception):
    """The server does not know who we are; its text says why, without what it said."""


def send(
    address: str,
    envelope: tuple[str, Sequence[str]],
    message: Message,
    *,
    context: Callable[[], ssl.SSLContext] = CONTEXT,
    whole: float = WHOLE_SECONDS,
) -> str:
    """Send a message by the server at `address`; return "" when it was taken for all, else why not.

    Args:
        address: as `alert_smtp`.
        envelope: who sends it, and to whom.
        message: what is sent.
        context: returns what certificates are checked by.
        whole: seconds for all of it.
    """
    parts = parse_smtp(address)
    try:
        server = _server(parts, context)
        with cut_off(lambda: server.sock, whole), contextlib.closing(server):
            server.connect(parts.hostname or "", parts.port or 0)
            return _said(server, parts, _letter(envelope, message), context)
    except _NoLogin as error:
        return str(error)
    except smtplib.SMTPResponseException as error:
        return f"it answered {error.smtp_code}"
    except smtplib.SMTPRecipientsRefused as error:
        return f"it takes nothing for {', '.join(error.recipients)}"
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return words_of(error)


def _server(parts: SplitResult, context: Callable[[], ssl.SSLContext]) -> smtplib.SMTP:
    """Return one that is not connected: even its greeting may last for ever."""
    server = smtplib.SMTP(timeout=STEP_SECONDS)
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(timeout=STEP_SECONDS, context=context())
    server._host = parts.hostname or ""  # type: ignore[attr-defined] # the name that its certificate must have
    return server


def _said(
    server: smtplib.SMTP, parts: SplitResult, letter: EmailMessage, context: Callable[[], ssl.SSLContext]
) -> str:
    server.ehlo()
    is_safe = parts.scheme == "smtps"
    if not is_safe and server.has_extn("starttls"):
        server.starttls(context=context())
        server.ehlo()
        is_safe = True
    if parts.username is not None:
        if not is_safe and parts.hostname not in LOCAL:
            raise _NoLogin("it offers no TLS, without which no password is sent")
        _log_in(server, unquote(parts.username), unquote(parts.password or ""))
    refused = server.send_message(letter)
    with contextlib.suppress(smtplib.SMTPException, OSError):  # it was taken
        server.quit()
    return f"it takes nothing for {', '.join(refused)}" if refused else ""


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    try:
        server.login(user, password)
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPServerDisconnected):
        raise _NoLogin("it refuses the login") from None


def _letter(envelope: tuple[str, Sequence[str]], message: Message) -> EmailMessage:
    sender, recipients = envelope
    letter = EmailMessage()
    letter["Subject"] = subject(message)
    letter["From"] = sender
    letter["To"] = ", ".join(recipients)
    letter["Date"] = format_datetime(localtime())
    letter["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(plain_text(message) + "\n")
    return letter
