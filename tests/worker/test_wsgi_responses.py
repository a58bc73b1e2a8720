"""What a WSGI worker makes of what the app does: framing, headers, errors, PEP 3333's rules for a server."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.raw_http import CutShort, RawClient, get, request
from tests.support.waiting import wait_until
from tests.support.worker_process import serving_worker
from tests.support.wsgi_probe import Probe, hello, serving_probe


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    with serving_probe(tmp_path_factory.mktemp("probe"), access_log=True) as probe:
        yield probe


@pytest.fixture(autouse=True)
def notes(probe: Probe) -> None:
    probe.forget_notes()


def head_of(status: str, *headers: tuple[str, object]) -> bytes:
    return get("/header?" + quote(json.dumps([status, headers])))


@pytest.mark.parametrize(
    ("path", "body"),
    [("/parts", b"one,two"), ("/single", b"single"), ("/environ", None), ("/hello", b"hello")],
)
def test_body_of_known_length_has_a_content_length(probe: Probe, path: str, body: bytes | None) -> None:
    response = probe.ask(get(path))
    assert response.header("content-length") == str(len(response.body))
    assert body in (None, response.body)


@pytest.mark.parametrize(("path", "body"), [("/stream", b"one,two,three"), ("/lazy", b"late")])
def test_body_of_unknown_length_is_chunked(probe: Probe, path: str, body: bytes) -> None:
    response = probe.ask(get(path))
    assert response.header("transfer-encoding") == "chunked"
    assert response.body == body


def test_body_of_unknown_length_ends_with_the_connection_for_http_1_0(probe: Probe) -> None:
    response = probe.ask(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (response.body, response.complete_at_close) == (b"one,two,three", True)
    assert response.header("connection") == "close"
    assert response.header("transfer-encoding") is None


def test_each_block_is_sent_before_the_next_is_asked_for(probe: Probe) -> None:
    with probe.gate():
        client = probe.client(get("/gated"))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
        assert client.read_exactly(11) == b"6\r\nbefore\r\n"
    with client:
        assert client.read_exactly(10) == b"5\r\nafter\r\n"


def test_write_sends_at_once_and_before_what_is_returned(probe: Probe) -> None:
    with probe.gate():
        client = probe.client(get("/write"))
        client.read_until(b"\r\n\r\n")
        assert client.read_exactly(13) == b"8\r\nwritten,\r\n"
    with client:
        assert client.read_exactly(18) == b"8\r\nreturned\r\n0\r\n\r\n"


@pytest.mark.parametrize("path", ["/hello", "/stream", "/parts", "/single", "/file/notes/0"])
def test_head_gets_the_headers_only(probe: Probe, path: str) -> None:
    (probe.directory / "notes").write_text("x" * 100_000)
    with probe.client(request("HEAD", path) + get("/hello")) as client:
        response = client.response(head=True)
        assert response.status == 200
        assert client.response().body == b"hello"
    assert response.header("transfer-encoding") is None
    assert response.header("content-length") == ("5" if path == "/hello" else None)


@pytest.mark.parametrize(("status", "length"), [("204", None), ("304", "4")])
def test_responses_that_have_no_body(probe: Probe, status: str, length: str | None) -> None:
    with probe.client(get(f"/status/{status}") + get("/hello")) as client:
        response = client.response()
        assert (response.status, response.reason) == (int(status), "Whatever")
        assert response.header("content-length") == length
        assert client.response().body == b"hello"


def test_status_may_be_any_code(probe: Probe) -> None:
    response = probe.ask(get("/status/799"))
    assert (response.status, response.reason, response.body) == (799, "Whatever", b"body")


def test_server_and_date_are_ours_unless_the_app_has_its_own(probe: Probe) -> None:
    response = probe.ask(get("/hello"))
    assert response.header("server") == "fastlb"
    assert (response.header("date") or "").endswith(" GMT")
    response = probe.ask(head_of("200 OK", ("Server", "mine"), ("date", "then")))
    assert (response.header("server"), response.header("date")) == ("mine", "then")


def test_server_and_date_can_be_switched_off(tmp_path: Path) -> None:
    with serving_probe(tmp_path, server_header=False, date_header=False) as probe:
        assert [name for name, _ in probe.ask(get("/hello")).headers] == ["content-type", "content-length"]


def test_headers_are_sent_as_the_app_gives_them(probe: Probe) -> None:
    response = probe.ask(head_of("200 OK", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Latin", "\xe9")))
    assert [pair for pair in response.headers if pair[0] in ("set-cookie", "x-latin")] == [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-latin", "\xe9"),
    ]


def test_hop_by_hop_headers_are_not_the_apps(probe: Probe) -> None:
    headers = (
        ("Transfer-Encoding", "chunked"),
        ("Keep-Alive", "x"),
        ("Upgrade", "h2c"),
        ("Connection", "X-Y"),
    )
    response = probe.ask(head_of("200 OK", *headers))
    assert response.body == b"x"
    assert not {name for name, _ in headers if response.header(name.lower())}


def test_app_can_have_the_connection_closed(probe: Probe) -> None:
    with probe.client(head_of("200 OK", ("Connection", "close"))) as client:
        assert client.response().header("connection") == "close"
        assert client.is_closed()


@pytest.mark.parametrize("value", ["disclosed", "not-close", "close-notify, x"])
def test_option_that_contains_close_does_not_close(probe: Probe, value: str) -> None:
    with probe.client(head_of("200 OK", ("Connection", value)) + get("/hello")) as client:
        assert client.response().header("connection") is None
        assert client.response().body == b"hello"


def test_close_is_found_among_the_connection_options(probe: Probe) -> None:
    with probe.client(head_of("200 OK", ("Connection", "x-y, Close"))) as client:
        assert client.response().header("connection") == "close"
        assert client.is_closed()


def test_status_without_a_reason_keeps_its_space(probe: Probe) -> None:
    with probe.client(head_of("200")) as client:
        assert client.read_until(b"\r\n") == b"HTTP/1.1 200 "


def test_value_may_have_tabs_and_latin_1(probe: Probe) -> None:
    assert probe.ask(head_of("200 OK", ("X", "a\t\x85\xad\xe9"))).header("x") == "a\t\x85\xad\xe9"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200 OK\r\nX: injected", ()),
        ("200 OK", (("X", "a\r\nInjected: 1"),)),
        ("200 OK", (("X", "a\rInjected: 1"),)),
        ("200 OK", (("X", "a\nInjected: 1"),)),
        ("200 OK", (("X", "a\0b"),)),
        ("200 OK", (("X", "a\x1bb"),)),
        ("200 OK", (("X", "a\x7fb"),)),
        ("200 OK\x0b", ()),
        ("200 OK", (("X: injected\r\nY", "b"),)),
        ("200 OK", (("", "b"),)),
        ("200 OK", (("X", 1),)),
        ("200 OK", (("X", "\u20ac"),)),
        ("200 OK", (("Content-Length", "-1"),)),
        ("200 OK", (("Content-Length", "1"), ("content-length", "1"))),
        ("OK", ()),
        ("2000 OK", ()),
        ("100 Continue", ()),
        (200, ()),
    ],
)
def test_what_may_not_be_sent_is_the_apps_error(
    probe: Probe, status: str, headers: tuple[tuple[str, object], ...]
) -> None:
    response = probe.ask(head_of(status, *headers))
    assert response.status == 500
    assert "injected" not in str(response.headers).lower()
    hello(probe)


@pytest.mark.parametrize("path", ["/length/3", "/whole_length/3"])
def test_more_than_the_content_length_is_cut_and_logged(probe: Probe, path: str) -> None:
    with probe.client(get(path) + get("/hello")) as client:
        assert client.response().body == b"123"
        assert client.response().body == b"hello"
    probe.wait_log(f"GET '{path}': the app produced more than its Content-Length")


@pytest.mark.parametrize("path", ["/length/9", "/whole_length/9"])
def test_less_than_the_content_length_ends_the_connection(probe: Probe, path: str) -> None:
    with probe.client(get(path) + get("/hello")) as client, pytest.raises(CutShort):
        client.response()
    probe.wait_log(f"GET '{path}': the app produced 4 bytes less than its Content-Length")


def count_in_log(probe: Probe, text: str) -> int:
    return probe.worker.read_output().count(text)


def test_exception_before_the_first_byte_is_a_500_and_in_the_log_once(probe: Probe) -> None:
    before = count_in_log(probe, "ValueError: before the first byte")
    errors = probe.worker.counters()["errors"]
    with probe.client(get("/raise") + get("/hello")) as client:
        response = client.response()
        assert (response.status, response.body) == (500, b"Internal Server Error\n")
        assert client.response().body == b"hello"
    assert count_in_log(probe, "ValueError: before the first byte") == before + 1
    assert probe.worker.counters()["errors"] == errors + 1


def test_exit_of_the_app_ends_the_request_not_the_worker(probe: Probe) -> None:
    assert probe.ask(get("/exit")).status == 500
    hello(probe)


def test_exception_after_the_first_byte_shows_as_a_cut(probe: Probe) -> None:
    before = count_in_log(probe, "ValueError: after the first byte")
    with probe.client(get("/raise_late")) as client, pytest.raises(CutShort):
        client.response()
    with probe.client(b"GET /raise_late HTTP/1.0\r\n\r\n") as client, pytest.raises(CutShort, match="reset"):
        client.response()  # a normal end would be a complete response
    assert count_in_log(probe, "ValueError: after the first byte") == before + 2


def test_exception_in_close_is_logged_and_spoils_nothing(probe: Probe) -> None:
    with probe.client(get("/raise_in_close") + get("/hello")) as client:
        assert client.response().body == b"single"
        assert client.response().body == b"hello"
    assert "ValueError: in close" in probe.worker.read_output()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/no_start", "before it called start_response"),
        ("/twice", "start_response was called twice"),
        ("/text", "must produce bytes, not str"),
    ],
)
def test_breach_of_the_interface_is_a_500(probe: Probe, path: str, says: str) -> None:
    assert probe.ask(get(path)).status == 500
    assert says in probe.worker.read_output()


def test_exc_info_replaces_a_head_that_is_not_sent(probe: Probe) -> None:
    response = probe.ask(get("/exc_info"))
    assert (response.status, response.reason, response.body) == (503, "Replaced", b"replaced")


def test_exc_info_is_raised_when_the_head_is_sent(probe: Probe) -> None:
    with probe.client(get("/exc_info_late")) as client, pytest.raises(CutShort):
        client.response()
    probe.wait_log("ValueError: too late to replace")


def test_close_is_called_after_a_response(probe: Probe) -> None:
    probe.ask(get("/single"))
    probe.wait_note("closed")


def test_close_is_called_when_the_client_leaves(probe: Probe) -> None:
    with probe.client(get("/closing")) as client:
        client.read_exactly(300_000)
    probe.wait_note("closed")
    probe.wait_closed()
    assert "ClientGone" not in probe.worker.read_output()


def test_large_whole_body_arrives_as_it_is(probe: Probe) -> None:
    response = probe.ask(get("/big_whole"))
    assert response.body == b"".join(number.to_bytes(4, "big") * 262144 for number in range(8))
    assert response.header("content-length") == str(8 * 1024 * 1024)


def test_access_log_has_a_line_for_each_request(probe: Probe) -> None:
    with probe.client(get("/hello?logged=1")) as client:
        client.response()
        port = client.socket.getsockname()[1]
    probe.wait_log(f'127.0.0.1:{port} - "GET /hello?logged=1 HTTP/1.1" 200')


def test_requests_and_latencies_are_counted(probe: Probe) -> None:
    before = probe.worker.counters()["requests"]
    latencies = sum(probe.worker.page.latency_us())
    with probe.client(get("/hello") * 10) as client:
        for _ in range(10):
            client.response()
    wait_until(lambda: sum(probe.worker.page.latency_us()) == latencies + 10, "ten latencies")
    assert probe.worker.counters()["requests"] == before + 10


VALIDATED = """
from wsgiref.validate import validator

def checked(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.errors"].write("noted\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    return [b"%d" % len(body)]

app = validator(checked)
"""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("threads", [1, 3])
def test_wsgiref_validate_finds_nothing(tmp_path: Path, threads: int) -> None:
    requests = [
        get("/"),
        get("/a%20b?c=d", "X-Header: 1", "X-Header: 2", "Content-Type: a/b"),
        get("http://host/absolute"),
        b"GET / HTTP/1.0\r\n\r\n",
        request("HEAD", "/"),
        request("POST", "/", body=b"abc"),
        request("POST", "/", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
        get("/file"),
    ]
    with serving_worker(tmp_path, VALIDATED, interface="wsgi", threads=threads) as worker:
        for sent in requests:
            with RawClient(worker.connect()).send(sent) as client:
                assert client.response(head=sent.startswith(b"HEAD")).status == 200, worker.read_output()
        assert set(worker.read_output().split()) == {"noted"}
