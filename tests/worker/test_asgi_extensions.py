"""ASGI's extensions: early hints, trailers, and files that are sent by their paths; what is offered works."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import CutShort, RawClient, RawResponse, get, request
from tests.support.tls import certificate, client_context
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker

LARGE = 3_000_000  # more than is sent in one turn, or held by a socket
HINT = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\n"
APP = """
import asyncio, json, os, resource
from starlette.responses import FileResponse
from starlette.requests import Request

DIRECTORY = os.path.dirname(__file__)
LINKS = ["</a.css>; rel=preload", "</b.js>; rel=preload"]

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    name = scope["path"].strip("/").partition("/")[0]
    return await globals()[name](scope, receive, send)

async def start(send, *headers, **others):
    await send({"type": "http.response.start", "status": 200, "headers": headers, **others})

async def body(send, body, more=False):
    await send({"type": "http.response.body", "body": body, "more_body": more})

async def offered(scope, receive, send):
    scope["extensions"]["changed"] = {}
    await start(send)
    await body(send, json.dumps(sorted(scope["extensions"])).encode())

async def hinted(scope, receive, send):
    await Request(scope, receive, send).send_early_hints(*LINKS)
    await start(send)
    await body(send, b"hinted")

async def hinted_late(scope, receive, send):
    await start(send)
    await send({"type": "http.response.early_hint", "links": [link.encode() for link in LINKS]})
    await body(send, b"hinted")

async def hinted_too_late(scope, receive, send):
    await start(send)
    await body(send, b"hin", True)
    await send({"type": "http.response.early_hint", "links": [link.encode() for link in LINKS]})
    await body(send, b"ted")

async def hinted_wrongly(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"a\\r\\nx: y"]})

async def trailed(scope, receive, send):
    length = [(b"content-length", b"5")] if scope["query_string"] == b"length" else []
    await start(send, (b"trailer", b"x-a, x-b"), *length, trailers=True)
    if scope["query_string"] == b"parts":
        await body(send, b"wh", True)
        await asyncio.sleep(0)
        await body(send, b"ole")
    else:
        await body(send, b"whole")
    await asyncio.sleep(0)
    await send({"type": "http.response.trailers", "headers": [(b"X-A", b"1")], "more_trailers": True})
    await send({"type": "http.response.trailers", "headers": [(b"x-b", b"2"), (b"content-length", b"7")]})
    print("trailed", flush=True)

async def trailed_twice(scope, receive, send):
    await trailed(scope, receive, send)
    try:
        await send({"type": "http.response.trailers"})
    except RuntimeError:
        print("told", scope["query_string"], flush=True)

async def trailers_missing(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"whole")

async def trailers_wrong(scope, receive, send):
    await start(send, trailers=True)
    await body(send, b"whole")
    await send({"type": "http.response.trailers", "headers": [(b"x-a", b"1\\r\\n\\r\\nHTTP/1.1 200 OK")]})

async def file(scope, receive, send):
    await FileResponse(os.path.join(DIRECTORY, scope["path"].rpartition("/")[2]))(scope, receive, send)
    print("sent", flush=True)

async def crowded(scope, receive, send):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        os.close(taken.pop())  # for the file itself
    await path(scope, receive, send)
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

async def path(scope, receive, send):
    length = scope["query_string"]
    await start(send, *([(b"content-length", length)] if length.isdigit() else []))
    if length == b"apart":
        await asyncio.sleep(0)
    await send({"type": "http.response.pathsend", "path": os.path.join(DIRECTORY, scope["path"].rpartition("/")[2])})
"""


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    large = b"".join(b"%08d" % number for number in range(LARGE // 8))
    return {"small.txt": b"a small file\n", "empty.txt": b"", "large.bin": large}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes]) -> Path:
    directory = tmp_path_factory.mktemp("extensions")
    for name, data in content.items():
        (directory / name).write_bytes(data)
    return directory


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def worker(request: pytest.FixtureRequest, directory: Path) -> Iterator[WorkerProcess]:
    with serving_worker(directory, APP, loop=request.param) as worker:
        yield worker


def ask(worker: WorkerProcess, sent: bytes, *, head: bool = False) -> RawResponse:
    """Return the response, behind which the connection serves another one."""
    with RawClient(worker.connect()).send(sent) as client:
        response = client.response(head=head)
        assert client.send(get("/offered")).response().status == 200
    return response


def test_what_works_is_offered_to_each_request_anew(worker: WorkerProcess) -> None:
    names = ["changed", "http.response.early_hint", "http.response.pathsend", "http.response.trailers"]
    for _ in range(2):
        assert json.loads(ask(worker, get("/offered")).body) == names


@pytest.mark.parametrize("path", ["/hinted", "/hinted_late"])
def test_early_hints_come_before_the_response(worker: WorkerProcess, path: str) -> None:
    with RawClient(worker.connect()).send(get(path)) as client:
        assert client.read_until(b"\r\n\r\n") + b"\r\n\r\n" == HINT
        assert client.response().body == b"hinted"


def test_early_hint_that_comes_too_late_is_dropped(worker: WorkerProcess) -> None:
    assert ask(worker, get("/hinted_too_late")).body == b"hinted"


def test_client_of_http10_gets_no_early_hints(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()).send(b"GET /hinted HTTP/1.0\r\n\r\n") as client:
        assert client.response().body == b"hinted"


def test_early_hint_cannot_be_a_header_of_its_own(worker: WorkerProcess) -> None:
    with RawClient(worker.connect()).send(get("/hinted_wrongly")) as client:
        assert client.response().status == 500


@pytest.mark.parametrize("query", ["", "?parts"])
def test_trailers_follow_the_body(worker: WorkerProcess, query: str) -> None:
    with RawClient(worker.connect()).send(get(f"/trailed{query}", "TE: gzip, Trailers", "Connection: TE")) as client:
        assert b"transfer-encoding: chunked" in client.read_until(b"\r\n\r\n")
        body = client.read_until(b"0\r\n")
        assert body.replace(b"2\r\nwh\r\n3\r\nole", b"5\r\nwhole") == b"5\r\nwhole\r\n"
        assert client.read_until(b"\r\n\r\n") == b"x-a: 1\r\nx-b: 2"
        assert client.send(get("/offered")).response().status == 200


@pytest.mark.parametrize("sent", [get("/trailed"), get("/trailed?length", "TE: trailers")], ids=["no TE", "length"])
def test_trailers_that_cannot_be_sent_are_dropped(worker: WorkerProcess, sent: bytes) -> None:
    trailed = worker.read_output().count("trailed")
    response = ask(worker, sent)
    assert (response.body, response.header("x-a")) == (b"whole", None)
    wait_until(lambda: worker.read_output().count("trailed") == trailed + 1, "the app is not disturbed")


@pytest.mark.parametrize("sent", [(), ("TE: trailers",)], ids=["dropped", "sent"])
def test_app_is_told_that_its_trailers_were_complete(worker: WorkerProcess, sent: tuple[str, ...]) -> None:
    told = f"told b'{len(sent)}'"
    with RawClient(worker.connect()) as client:
        client.send(get(f"/trailed_twice?{len(sent)}", *sent))
        wait_until(lambda: told in worker.read_output(), "the app is told")


@pytest.mark.parametrize("path", ["/trailers_missing", "/trailers_wrong"])
def test_response_whose_trailers_do_not_come_is_not_whole(worker: WorkerProcess, path: str) -> None:
    with RawClient(worker.connect()).send(get(path, "TE: trailers")) as client, pytest.raises(CutShort):
        client.response()


@pytest.mark.parametrize("name", ["small.txt", "empty.txt", "large.bin"])
@pytest.mark.parametrize("path", ["/file", "/path"])
def test_file_is_sent_by_its_path(worker: WorkerProcess, content: dict[str, bytes], path: str, name: str) -> None:
    response = ask(worker, get(f"{path}/{name}"))
    assert response.body == content[name]
    assert response.header("content-length") == str(len(content[name]))


def test_file_of_a_response_that_has_begun_is_sent(worker: WorkerProcess, content: dict[str, bytes]) -> None:
    response = ask(worker, get("/path/large.bin?apart"))
    assert (response.body, response.header("transfer-encoding")) == (content["large.bin"], "chunked")


def test_head_of_a_file_has_no_body(worker: WorkerProcess) -> None:
    response = ask(worker, request("HEAD", "/file/large.bin"), head=True)
    assert (response.body, response.header("content-length")) == (b"", str(LARGE))


def test_part_of_a_file_is_sent(worker: WorkerProcess, content: dict[str, bytes]) -> None:
    response = ask(worker, get("/file/large.bin", "Range: bytes=100-199"))
    assert (response.status, response.body) == (206, content["large.bin"][100:200])


def test_no_more_of_a_file_is_sent_than_its_length_says(worker: WorkerProcess, content: dict[str, bytes]) -> None:
    assert ask(worker, get("/path/large.bin?100000")).body == content["large.bin"][:100000]


@pytest.mark.parametrize("target", ["/path/large.bin?3000001", "/path/missing.txt", "/path/"])
def test_file_that_cannot_be_sent_becomes_500(worker: WorkerProcess, target: str) -> None:
    with RawClient(worker.connect()).send(get(target)) as client:
        assert client.response().status == 500


def test_file_is_sent_without_a_spare_descriptor(worker: WorkerProcess, content: dict[str, bytes]) -> None:
    assert ask(worker, get("/crowded/large.bin")).body == content["large.bin"]


def test_client_that_takes_a_file_slowly_gets_all_of_it(worker: WorkerProcess, content: dict[str, bytes]) -> None:
    connection = worker.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
    with RawClient(connection).send(get("/file/large.bin") * 2) as client:
        for _ in range(2):
            assert client.response().body == content["large.bin"]


def test_client_that_leaves_a_file_leaves_nothing_behind(worker: WorkerProcess) -> None:
    sent = worker.read_output().count("sent")
    connection = worker.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client = RawClient(connection).send(get("/file/large.bin"))
    client.read_exactly(1000)
    client.leave()
    wait_until(lambda: worker.read_output().count("sent") == sent + 1, "the app goes on")
    wait_until(lambda: worker.counters()["closed"] == worker.position, "the connection is closed")
    wait_until(lambda: worker.counters()["busy"] == 0, "nothing runs")


def test_file_is_sent_over_tls(directory: Path, content: dict[str, bytes]) -> None:
    made = certificate()
    files = {"ssl_certfile": str(made.certificate), "ssl_keyfile": str(made.key)}
    with (
        serving_worker(directory, APP, None, **files) as worker,
        client_context().wrap_socket(worker.connect(), server_hostname="test") as connection,
        RawClient(connection).send(get("/file/large.bin")) as client,
    ):
        assert client.response().body == content["large.bin"]
