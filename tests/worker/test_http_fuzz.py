"""Requests that nobody thought of: both kinds of workers understand them alike, however they arrive, and as h11 does.

FASTLB_FUZZ_EXAMPLES is how many are tried; without it so few that it takes seconds.
"""

import contextlib
import os
import re
from collections.abc import Iterator

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.raw_http import CutShort, RawClient
from tests.support.worker_process import WorkerProcess, serving_worker
from tests.worker.http_vectors import VECTORS
from tests.worker.test_http_vectors import ASGI, WSGI

EXAMPLES = int(os.environ.get("FASTLB_FUZZ_EXAMPLES", "120"))
LINES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /p?q HTTP/1.1\r\n",
    b"PUT /a%20b HTTP/1.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"DELETE http://h.example/x HTTP/1.1\r\n",
]
FIELDS = [
    *(b"Host: a\r\n", b"Host: a:80\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: 05\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: CHUNKED\r\n", b"Connection: close\r\n"),
    *(b"Connection: keep-alive\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"X: y\r\n", b"X:\r\n"),
]
BODIES = [b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: v\r\n\r\n", b"0\r\n\r\n"]
ODD = [
    *(b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\0", b";", b",", b"-", b"0", b"\xff"),
    *(b"chunked", b"Host: b\r\n", b"HTTP/1.1"),
]


def requests() -> st.SearchStrategy[bytes]:
    fields = st.lists(st.sampled_from(FIELDS), max_size=4).map(b"".join)
    parts = st.tuples(st.sampled_from(LINES), st.just(b"Host: a\r\n") | st.just(b""), fields, st.sampled_from(BODIES))
    made = parts.map(lambda found: found[0] + found[1] + found[2] + b"\r\n" + found[3])
    return made | st.sampled_from([vector.sent for vector in VECTORS])


@st.composite
def odd_requests(draw: st.DrawFn) -> bytes:
    """Draw some requests behind one another, with perhaps a few bytes put in, left out or replaced."""
    sent = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(sent)))
        sent = sent[:at] + draw(st.sampled_from(ODD) | st.just(b"")) + sent[at + draw(st.integers(0, 2)) :]
    return sent


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WorkerProcess, WorkerProcess]]:
    make = tmp_path_factory.mktemp
    with (
        serving_worker(make("asgi"), ASGI, http="fastlb", ws="none") as asgi,
        serving_worker(make("wsgi"), WSGI) as wsgi,
    ):
        yield asgi, wsgi


def answers(worker: WorkerProcess, pieces: list[bytes]) -> list[str]:
    """Return what a worker answers to `pieces`, sent one after another, and then nothing more."""
    found: list[str] = []
    with RawClient(worker.connect()) as client:
        with contextlib.suppress(OSError):
            for piece in pieces:
                client.send(piece)
            client.finish()
        with contextlib.suppress(CutShort):
            while True:
                response = client.response()
                found.append(f"{response.status}{response.body.decode('latin-1') if response.status == 200 else ''}")
    return found


def of_h11(sent: bytes) -> list[str]:
    """Return the requests that h11 finds in `sent`, shown as the app shows them."""
    connection, found = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20), []
    connection.receive_data(sent)
    with contextlib.suppress(h11.RemoteProtocolError, h11.LocalProtocolError):
        while isinstance(request := connection.next_event(), h11.Request):
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
            if not isinstance(event, h11.EndOfMessage):
                break
            path = request.target.decode("latin-1").partition("?")[0].partition("#")[0]
            found.append(f"200[{request.method.decode()} {path!r} b={body.decode('latin-1')!r}]")
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
    return found


def in_pieces(sent: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)})
    return [sent[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


@given(odd_requests(), st.lists(st.integers(1, 200), max_size=4))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_everybody_understands_the_same(
    workers: tuple[WorkerProcess, WorkerProcess], sent: bytes, cuts: list[int]
) -> None:
    if b"HEAD" in sent:
        return  # whether a body follows depends on which request is answered
    asgi, wsgi = workers
    whole = answers(asgi, [sent])
    # What comes after the last answer may reset the connection, and the answer be lost.
    apart = answers(asgi, in_pieces(sent, cuts))
    assert apart == whole[: len(apart)]
    # An asterisk is a path for ASGI; for WSGI there is none. Headers may be joined in one, so two of them are refused.
    assert answers(wsgi, [sent]) == [answer.replace("OPTIONS '*'", "OPTIONS ''") for answer in whole]
    for ours, theirs in zip(whole, of_h11(sent), strict=False):
        if ours.startswith("200") and re.match(r"200\[[A-Z-]+ '/[^%]*' ", theirs):
            assert ours == theirs
