"""Owns the questions: how a process is asked over a connection, and which answers are good ones.

Runs in the supervisor process. What is read of an answer is bounded, and so is the time for it.
"""

import asyncio
import contextlib
import socket
import ssl

from ..settings.health import HealthPlan

LONGEST_ANSWER = 64 * 1024
READ_BYTES = 16 * 1024
USER_AGENT = "fastlb-health-check"


async def ask_tcp(sock: socket.socket) -> str:
    """Return "" when the other side has taken a connection on which nothing is asked, and ended it as it has to."""
    with sock, contextlib.suppress(ConnectionError):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        await asyncio.get_running_loop().sock_recv(sock, READ_BYTES)
    return ""


async def ask_http(sock: socket.socket, plan: HealthPlan) -> str:
    """Ask for the path; return "" for a good answer, else what is wrong with it. Closes `sock`."""
    try:
        options = {"ssl": _any_certificate(), "server_hostname": plan.host} if plan.is_tls else {}
        reader, writer = await asyncio.open_connection(sock=sock, **options)  # type: ignore[arg-type]
    except (OSError, ssl.SSLError) as error:
        sock.close()
        return f"{plan.question}: {_words(error)}"
    try:
        writer.write(request(plan))
        failure = judge_answer(await _read_answer(reader, wants_body=bool(plan.text)), plan)
    except (OSError, ssl.SSLError) as error:
        failure = _words(error)
    finally:
        writer.transport.abort()  # nothing is waited for, and no socket of ours stays in TIME_WAIT
    return f"{plan.question}: {failure}" if failure else ""


def request(plan: HealthPlan) -> bytes:
    """Return the request."""
    head = (f"GET {plan.path} HTTP/1.1", f"Host: {plan.host}", f"User-Agent: {USER_AGENT}", "Connection: close", "", "")
    return "\r\n".join(head).encode()


def judge_answer(answer: bytes, plan: HealthPlan) -> str:
    """Return "" for a response of status 2xx or 3xx with the wanted text, else what is wrong."""
    words = answer.partition(b"\r\n")[0].split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not (words[1].isdigit() and len(words[1]) == 3):
        return "answered nothing" if not answer else "answered something else than HTTP"
    if words[1][:1] not in (b"2", b"3"):
        return f"answered {words[1].decode()}"
    if plan.text and plan.text.encode() not in answer.partition(b"\r\n\r\n")[2]:
        return f"answered {words[1].decode()} without {plan.text!r}"
    return ""


async def _read_answer(reader: asyncio.StreamReader, *, wants_body: bool) -> bytes:
    """Read the head, or (`wants_body`) all up to the end, as far as LONGEST_ANSWER."""
    answer = b""
    while len(answer) < LONGEST_ANSWER and (wants_body or b"\r\n\r\n" not in answer):
        chunk = await reader.read(READ_BYTES)
        if not chunk:
            break
        answer += chunk
    return answer


def _any_certificate() -> ssl.SSLContext:
    """It is our own process that we ask."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
