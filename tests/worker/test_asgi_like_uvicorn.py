"""What an ASGI app is told and may do is what uvicorn's users know: the engine and uvicorn's protocol, compared."""

import json
from collections.abc import Iterator

import pytest

from tests.support.raw_http import CutShort, RawClient, RawResponse, get, request
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

ENGINES = ("fastlb", "httptools")
APP = """
import asyncio, contextvars, json

variable = contextvars.ContextVar("variable", default="untouched")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["shared"] = []
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        return await globals()[scope["path"].strip("/").partition("/")[0]](scope, receive, send)

def plain(value):
    if isinstance(value, bytes):
        return "bytes:" + value.decode("latin-1")
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

async def answer(send, body, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

async def shown(scope, receive, send):
    told = {key: value for key, value in scope.items() if key not in ("client", "server", "extensions")}
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    body = b"".join(message["body"] for message in messages)
    told["headers"] = [pair for pair in told["headers"] if pair[0] != b"host"]
    await answer(send, json.dumps(plain([told, messages[0].keys() == {"type", "body", "more_body"}, body])).encode())

async def context(scope, receive, send):
    before = variable.get()
    variable.set("set by a request")
    task = asyncio.current_task()
    async with asyncio.timeout(5):
        await asyncio.sleep(0)
    same = task is asyncio.current_task() and isinstance(task, asyncio.Task)
    await answer(send, f"{before} {same} {isinstance(scope['state'], dict)}".encode())

async def twice(scope, receive, send):
    await answer(send, b"once")
    try:
        await answer(send, b"twice")
    except RuntimeError as error:
        print("told:", error, flush=True)
    print("then:", (await receive())["type"], flush=True)

async def disconnect(scope, receive, send):
    print("first:", (await receive())["type"], flush=True)
    print("second:", (await receive())["type"], flush=True)
    await answer(send, b"to nobody")
    print("sent", flush=True)

async def tasks(scope, receive, send):
    await asyncio.create_task(send({"type": "http.response.start", "status": 200}))
    await asyncio.gather(send({"type": "http.response.body", "body": b"a", "more_body": True}))
    await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(receive())), 5)
    await asyncio.wait_for(send({"type": "http.response.body", "body": b"b"}), 5)

async def views(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": iter([[b"X-A", b"1"], [b"x-b", b"\\xe9"]])})
    await send({"type": "http.response.body", "body": bytearray(b"a"), "more_body": True})
    await send({"type": "http.response.body", "more_body": True})
    await send({"type": "http.response.body", "body": memoryview(b"b")})

async def raises(scope, receive, send):
    raise ValueError("before")

async def raises_late(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    await asyncio.sleep(0)
    raise ValueError("late")

async def raises_after(scope, receive, send):
    await answer(send, b"whole")
    raise ValueError("after")

async def returns(scope, receive, send):
    return None

async def returns_early(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})

async def returns_something(scope, receive, send):
    await answer(send, b"whole")
    return 1

async def exits(scope, receive, send):
    raise SystemExit(7)

async def body_first(scope, receive, send):
    await send({"type": "http.response.body", "body": b"x"})

async def start_twice(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.start", "status": 200})

async def bad_name(scope, receive, send):
    await answer(send, b"x", headers=[(b"a b", b"x")])

async def bad_value(scope, receive, send):
    await answer(send, b"x", headers=[(b"a", b"x\\r\\ny: z")])

async def text(scope, receive, send):
    await answer(send, b"x", headers=[("a", "b")])

async def bad_length(scope, receive, send):
    await answer(send, b"x", headers=[(b"content-length", b"one")])
"""


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[WorkerProcess]]:
    directories = [tmp_path_factory.mktemp(engine) for engine in ENGINES]
    with (
        serving_worker(directories[0], APP, http=ENGINES[0]) as own,
        serving_worker(directories[1], APP, http=ENGINES[1]) as theirs,
    ):
        yield [own, theirs]


def response(worker: WorkerProcess, sent: bytes, *, head: bool = False) -> RawResponse:
    with RawClient(worker.connect()).send(sent) as client:
        return client.response(head=head)


SHOWN = {
    "plain": get("/shown"),
    "query": get("/shown?a=1&b=%20+c"),
    "empty query": get("/shown?"),
    "question marks": get("/shown?a?b"),
    "escapes": get("/shown/%C3%A9/%2F/%zz/%e/%"),
    "escapes that are no UTF-8": get("/shown/%ff%C3/%c3a"),
    "specials": get("/shown/a;b=c,d&e'(f)!$*@:|^`\"<>{}"),
    "fragment": get("/shown/a#b?c"),
    "absolute form": get("http://test/shown/x?y"),
    "double slash": get("//shown//a"),
    "headers": get("/shown", "X-UPPER: A b", "x-lower:1", "X-Empty:", "Cookie: a=1", "Cookie: b=2", "X-High: \u00e9"),
    "body": request("POST", "/shown", body=b"a body"),
    "empty body": request("POST", "/shown", "Content-Length: 0"),
    "chunks": request("PUT", "/shown", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    "body of GET": request("GET", "/shown", body=b"a body"),
    "other methods": request("M-SEARCH", "/shown"),
    "close": get("/shown", "Connection: close"),
    "HTTP/1.0": b"GET /shown HTTP/1.0\r\nHost: test\r\n\r\n",
}


@pytest.mark.parametrize("sent", SHOWN.values(), ids=SHOWN.keys())
def test_app_is_told_the_same(workers: list[WorkerProcess], sent: bytes) -> None:
    own, theirs = (json.loads(response(worker, sent).body) for worker in workers)
    assert own == theirs


@pytest.mark.parametrize("path", ["/context", "/tasks", "/views"])
def test_app_may_do_the_same(workers: list[WorkerProcess], path: str) -> None:
    own, theirs = (response(worker, get(path)) for worker in workers)
    assert (own.status, own.body) == (theirs.status, theirs.body)
    kept = [[header for header in one.headers if header[0].startswith("x-")] for one in (own, theirs)]
    assert kept[0] == kept[1]


# What the client sees of an app that does something wrong, and what the log says, for both; None: the response is cut.
FAILURES = {
    "raises": (500, "ValueError: before"),
    "raises_late": (None, "ValueError: late"),
    "raises_after": (200, "ValueError: after"),
    "returns": (500, "ASGI callable returned without starting response."),
    "returns_early": (None, "ASGI callable returned without completing response."),
    "returns_something": (200, "ASGI callable should return None, but returned '1'."),
    "exits": (500, "SystemExit: 7"),
    "body_first": (500, "Expected ASGI message 'http.response.start', but got 'http.response.body'."),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure_shows_in_the_same_way(workers: list[WorkerProcess], name: str) -> None:
    status, said = FAILURES[name]
    for worker in workers:
        errors = worker.counters()["errors"]
        try:
            assert response(worker, get(f"/{name}")).status == status
        except CutShort:
            assert status is None
        wait_until(lambda worker=worker: said in worker.read_output(), f"{said!r} is in the log")  # type: ignore[misc]
        wait_until(lambda: worker.counters()["errors"] == errors + 1, "it is counted")  # noqa: B023


# Where nothing is on the wire yet, the engine says 500 and uvicorn ends the connection.
@pytest.mark.parametrize("name", ["start_twice", "bad_name", "bad_value", "text", "bad_length"])
def test_answer_that_cannot_be_sent_becomes_500(workers: list[WorkerProcess], name: str) -> None:
    with RawClient(workers[0].connect()).send(get(f"/{name}")) as client:
        failure = client.response()
        assert (failure.status, failure.header("connection")) == (500, "close")
        assert client.is_closed()


def test_app_is_told_that_its_response_was_complete(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        assert response(worker, get("/twice")).body == b"once"
        said = "Unexpected ASGI message 'http.response.start' sent, after response already completed."
        wait_until(lambda worker=worker: "then: http.disconnect" in worker.read_output(), "it goes on")  # type: ignore[misc]
        assert f"told: {said}" in worker.read_output()


def test_app_is_told_that_its_client_is_gone(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        client = RawClient(worker.connect()).send(get("/disconnect"))
        wait_until(lambda worker=worker: "first: http.request" in worker.read_output(), "it runs")  # type: ignore[misc]
        client.leave()
        wait_until(lambda worker=worker: "second: http.disconnect\nsent" in worker.read_output(), "told")  # type: ignore[misc]
