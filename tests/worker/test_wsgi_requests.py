"""What a WSGI worker accepts as a request, what it refuses and how, and what it tells the app."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import get, request
from tests.support.wsgi_probe import Probe, hello, serving_probe

SETTINGS: dict[str, Any] = {
    "limit_request_head": 2048,
    "limit_request_body": 300_000,
    "root_path": "/mounted/",
    "forwarded_allow_ips": "127.0.0.1, 10.0.0.0/8",
}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    with serving_probe(tmp_path_factory.mktemp("probe"), **SETTINGS) as probe:
        yield probe


def environ_of(probe: Probe, sent: bytes) -> dict[str, Any]:
    environ: dict[str, Any] = json.loads(probe.ask(sent).body)
    return environ


def test_environ_of_a_plain_request(probe: Probe) -> None:
    with probe.client(get("/environ/a%20b%2Fc?x=%20&y")) as client:
        port = client.socket.getsockname()[1]
        environ = json.loads(client.response().body)
    listener = probe.worker.listeners[0]
    assert environ == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/mounted",
        "PATH_INFO": "/environ/a b/c",
        "QUERY_STRING": "x=%20&y",
        "RAW_URI": "/environ/a%20b%2Fc?x=%20&y",
        "REQUEST_URI": "/environ/a%20b%2Fc?x=%20&y",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(listener.address[1]),
        "SERVER_SOFTWARE": "fastlb",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "HTTP_HOST": "test",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


def test_script_name_is_cut_from_the_path(probe: Probe) -> None:
    environ = environ_of(probe, get("/mounted/environ"))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/mounted", "/environ")


def test_path_is_latin_1_of_the_bytes(probe: Probe) -> None:
    environ = environ_of(probe, get("/environ/%C3%A9"))
    assert environ["PATH_INFO"] == "/environ/\xc3\xa9"


def test_headers_become_keys_and_repeated_ones_are_joined(probe: Probe) -> None:
    sent = get(
        "/environ",
        "X-Many: 1",
        "x-many: 2",
        "Cookie: a=1",
        "Cookie: b=2",
        "Content-Type: a/b",
        "X-Pad:  p \t",
    )
    environ = environ_of(probe, sent)
    assert environ["HTTP_X_MANY"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["CONTENT_TYPE"] == "a/b"
    assert environ["HTTP_X_PAD"] == "p"


def test_names_that_pass_for_others_are_dropped(probe: Probe) -> None:
    environ = environ_of(probe, get("/environ", "X_Forwarded_For: 1.1.1.1", "Content_Length: 9", "Proxy: evil"))
    assert not {"HTTP_X_FORWARDED_FOR", "CONTENT_LENGTH", "HTTP_CONTENT_LENGTH", "HTTP_PROXY"} & environ.keys()


def test_absolute_target_names_the_host(probe: Probe) -> None:
    environ = environ_of(probe, get("http://other:81/environ?q"))
    assert environ["HTTP_HOST"] == "other:81"
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/environ", "q")
    assert environ["RAW_URI"] == "http://other:81/environ?q"


def test_two_slashes_are_a_path_not_a_host(probe: Probe) -> None:
    assert probe.ask(get("//environ")).status == 200


def test_one_value_sent_twice_is_one_value(probe: Probe) -> None:
    assert environ_of(probe, get("/environ", "Content-Type: a/b", "content-type: a/b"))["CONTENT_TYPE"] == "a/b"


def test_another_protocols_request_comes_after_the_responses_before_it(probe: Probe) -> None:
    with probe.client(get("/hello") + b"GET /hello RTSP/1.0\r\nHost: a\r\n\r\n") as client:
        assert (client.response().body, client.response().status) == (b"hello", 400)
        assert client.is_closed()


@pytest.mark.parametrize("framing", ["Content-Length: 28", "Transfer-Encoding: chunked"])
def test_body_may_look_like_another_protocol(probe: Probe, framing: str) -> None:
    body = b"SETUP * RTSP/1.0\nGET / ICE/1"
    sent = body if "Length" in framing else b"1C\r\n" + body + b"\r\n0\r\n\r\n"
    assert probe.ask(request("POST", "/echo", framing) + sent).body == body


def test_asterisk_target_is_answered(probe: Probe) -> None:
    assert probe.ask(request("OPTIONS", "*")).body == b"hello"


def test_forwarded_headers_of_a_trusted_proxy_are_believed(probe: Probe) -> None:
    environ = environ_of(
        probe, get("/environ", "X-Forwarded-Proto: https", "X-Forwarded-For: 6.6.6.6, 9.9.9.9, 10.1.2.3")
    )
    assert (environ["wsgi.url_scheme"], environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == (
        "https",
        "9.9.9.9",
        "0",
    )


MALFORMED = {
    "no request": b"nonsense\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "Host that is none": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in a header": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    "blank before colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "blank in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown scheme": get("ftp://a/b"),
    "length and chunks": request("POST", "/echo", "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunks and length": request("POST", "/echo", "Transfer-Encoding: chunked", "Content-Length: 3") + b"0\r\n\r\n",
    "two lengths": request("POST", "/echo", "Content-Length: 3", "Content-Length: 3") + b"abc",
    "list of lengths": request("POST", "/echo", "Content-Length: 3, 3") + b"abc",
    "signed length": request("POST", "/echo", "Content-Length: +3") + b"abc",
    "chunked is not last": request("POST", "/echo", "Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "chunked twice": request("POST", "/echo", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "chunk with bare LF": request("POST", "/echo", "Transfer-Encoding: chunked") + b"1\na\r\n0\r\n\r\n",
    "chunk size that is none": request("POST", "/echo", "Transfer-Encoding: chunked") + b"g\r\n",
    "request of RTSP": b"GET /hello RTSP/1.0\r\nHost: a\r\n\r\n",
    "request of Icecast": b"SOURCE /hello ICE/1.0\r\nHost: a\r\n\r\n",
    "asterisk that is not for OPTIONS": get("*"),
    "two content types": get("/environ", "Content-Type: a/b", "Content-Type: c/d"),
    "two credentials": get("/environ", "Authorization: Basic YQ==", "Authorization: Basic Yg=="),
    "chunks in HTTP/1.0": b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_request_is_answered_400_and_the_connection_closed(probe: Probe, sent: bytes) -> None:
    response = probe.ask_and_close(sent)
    assert response.status == 400
    assert response.header("connection") == "close"
    hello(probe)


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (405, request("CONNECT", "a:443")),
        (417, request("POST", "/echo", "Expect: miracles", "Content-Length: 1")),
        (501, request("POST", "/echo", "Transfer-Encoding: gzip, chunked")),
        (501, request("POST", "/echo", "Transfer-Encoding: xchunked")),
        (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        (413, request("POST", "/echo", "Content-Length: 300001")),
        (413, request("POST", "/echo", "Transfer-Encoding: chunked") + b"493E1\r\n" + b"x" * 300_001),
        (413, request("POST", "/echo", "Content-Length: 300001", "Expect: 100-continue")),
        (431, get("/hello", "X: " + "x" * 3000)),
        (431, get("/" + "x" * 3000)),
        (431, b"GET /hello HTTP/1.1\r\nX: " + b"x" * 3000),
        (431, get("/hello", *["X:"] * 200)),
        (431, get("/hello", *["X-Short: " + "x" * 2] * 180)),
    ],
)
def test_what_may_not_reach_the_app_is_refused(probe: Probe, status: int, sent: bytes) -> None:
    assert probe.ask_and_close(sent).status == status
    hello(probe)


def test_head_at_its_limit_passes_beside_a_large_body(probe: Probe) -> None:
    response = probe.ask(request("POST", "/echo", "X: " + "x" * 1900, body=b"y" * 299_000))
    assert response.body == b"y" * 299_000


def test_refusal_can_be_read_although_the_client_goes_on_sending(probe: Probe) -> None:
    with probe.client(request("POST", "/echo", "Transfer-Encoding: chunked")) as client:
        chunk = b"2000\r\n" + b"x" * 8192 + b"\r\n"
        client.send(chunk * 64)
        assert client.response().status == 413
        client.send(chunk)


def test_body_by_content_length(probe: Probe) -> None:
    response = probe.ask(request("POST", "/echo", body=b"some body"))
    assert (response.body, response.header("x-length")) == (b"some body", "9")


def test_chunked_body_has_a_length_for_the_app_and_its_trailers_are_dropped(probe: Probe) -> None:
    chunks = b"4;extension=1\r\nsome\r\n5\r\n body\r\n0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\n"
    with probe.client(request("POST", "/echo", "Transfer-Encoding: chunked") + chunks) as client:
        response = client.response()
        assert (response.body, response.header("x-length")) == (b"some body", "9")
        client.send(request("POST", "/environ", "Transfer-Encoding: chunked") + chunks)
        environ = json.loads(client.response().body)
        assert (environ["HTTP_HOST"], environ["CONTENT_LENGTH"]) == ("test", "9")
        assert not {"HTTP_X_TRAILER", "HTTP_TRANSFER_ENCODING"} & environ.keys()
        client.send(get("/environ"))
        environ = json.loads(client.response().body)
    assert environ["HTTP_HOST"] == "test"
    assert not {"HTTP_X_TRAILER", "HTTP_TRANSFER_ENCODING", "CONTENT_LENGTH"} & environ.keys()


@pytest.mark.parametrize("pad", [b"", b"p" * 100_000], ids=["in memory", "on disk"])
def test_input_reads_like_a_file(probe: Probe, pad: bytes) -> None:
    response = probe.ask(request("POST", "/input", body=b"line\nabcdef\n" + pad))
    assert response.body == repr([b"line\n", b"abc", b"de", [b"f\n", *([pad] if pad else [])], b"", []]).encode()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 299_999])
def test_body_sent_byte_by_byte_at_its_ends_arrives_whole(probe: Probe, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    with probe.client(request("POST", "/echo", f"Content-Length: {size}")) as client:
        for part in (body[:1], body[1:-1], body[-1:] if size > 1 else b""):
            client.send(part)
        assert client.response().body == body


def test_head_may_come_in_any_pieces(probe: Probe) -> None:
    sent = get("/environ/split?x=1", "X-Long-Name: long value")
    with probe.client() as client:
        for at in range(len(sent)):
            client.send(sent[at : at + 1])
        environ = json.loads(client.response().body)
    assert (environ["RAW_URI"], environ["HTTP_X_LONG_NAME"]) == ("/environ/split?x=1", "long value")


def test_100_continue_is_sent_when_the_client_waits_for_it(probe: Probe) -> None:
    with probe.client(request("POST", "/echo", "Expect: 100-continue", "Content-Length: 4")) as client:
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        client.send(b"body")
        assert client.response().body == b"body"
        client.send(request("POST", "/echo", "Expect: 100-Continue", "Content-Length: 0"))
        assert client.response().status == 200  # nothing to wait for


def test_100_continue_waits_for_the_response_before_it(probe: Probe) -> None:
    late = request("POST", "/echo", "Expect: 100-continue", "Content-Length: 4")
    with probe.gate():
        client = probe.client(get("/wait") + late)
    with client:
        assert client.response().body == b"hello"
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        assert client.send(b"body").response().body == b"body"


def test_http_1_0_client_gets_no_100_continue(probe: Probe) -> None:
    with probe.client(b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody") as client:
        assert client.response().status == 200


def test_upgrade_is_ignored_and_its_body_kept(probe: Probe) -> None:
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA")
    sent = (
        get("/hello", *upgrade)
        + request("POST", "/echo", *upgrade, body=b"GET /evil HTTP/1.1\r\n\r\n")
        + request("POST", "/echo", *upgrade, "Transfer-Encoding: chunked")
        + b"3\r\nabc\r\n0\r\n\r\n"
        + get("/hello")
    )
    with probe.client(sent) as client:
        bodies = [client.response().body for _ in range(4)]
    assert bodies == [b"hello", b"GET /evil HTTP/1.1\r\n\r\n", b"abc", b"hello"]


def test_requests_in_one_piece_are_answered_in_order(probe: Probe) -> None:
    paths = [f"/environ/{number}" for number in range(50)]
    with probe.client(b"".join(map(get, paths))) as client:
        answered = [json.loads(client.response().body)["PATH_INFO"] for _ in paths]
    assert answered == paths


def test_refusal_comes_after_the_responses_to_earlier_requests(probe: Probe) -> None:
    with probe.client(get("/hello") + get("/stream") + b"nonsense\r\n\r\n" + get("/hello")) as client:
        statuses = [client.response().status for _ in range(3)]
        assert client.is_closed()
    assert statuses == [200, 200, 400]


def test_nothing_is_read_after_a_request_that_closes(probe: Probe) -> None:
    probe.forget_notes()
    with probe.client(get("/hello", "Connection: close") + get("/parts")) as client:
        assert client.response().header("connection") == "close"
        assert client.is_closed()
    hello(probe)
    assert probe.notes() == [], "the app was not asked again"


def test_client_that_sends_no_more_gets_what_it_asked_for(probe: Probe) -> None:
    with probe.client(get("/hello") + get("/stream")).finish() as client:
        assert client.response().body == b"hello"
        assert client.response().body == b"one,two,three"
        assert client.is_closed()


def test_client_that_leaves_inside_a_request_is_forgotten(probe: Probe) -> None:
    with probe.client(request("POST", "/echo", "Content-Length: 100000") + b"x" * 70_000):
        pass
    probe.wait_closed()


@pytest.mark.parametrize(
    ("sent", "keeps", "says"),
    [
        (b"GET /hello HTTP/1.0\r\n\r\n", False, "close"),
        (b"GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True, "keep-alive"),
        (get("/hello"), True, None),
        (get("/hello", "Connection: close"), False, "close"),
        (get("/hello", "Connection: keep-alive, Close"), False, "close"),
    ],
)
def test_keep_alive_is_the_clients_choice(probe: Probe, sent: bytes, keeps: bool, says: str | None) -> None:
    with probe.client(sent) as client:
        response = client.response()
        assert (response.body, response.header("connection")) == (b"hello", says)
        if keeps:
            assert client.send(get("/hello")).response().body == b"hello"
        else:
            assert client.is_closed()


def test_connections_are_counted_right_after_all_this(probe: Probe) -> None:
    hello(probe)
    probe.wait_closed()


def test_refusal_has_a_date_although_nothing_was_answered_before(tmp_path: Path) -> None:
    with serving_probe(tmp_path) as probe, probe.client(b"GET / HTTP/1.1\r\n\r\n") as client:
        response = client.response()
        assert response.status == 400
        assert (response.header("date") or "").endswith(" GMT")


def test_body_above_a_gibibyte_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    """By default: bodies are stored before the app is called, so the app cannot refuse them."""
    with serving_probe(tmp_path) as probe:
        length = 1024**3
        assert probe.ask_and_close(request("POST", "/echo", f"Content-Length: {length + 1}")).status == 413
        with probe.client(request("POST", "/echo", f"Content-Length: {length}", "Expect: 100-continue")) as client:
            assert client.response().status == 100
    with serving_probe(tmp_path, limit_request_body=0) as probe:
        sent = request("POST", "/echo", f"Content-Length: {length + 1}", "Expect: 100-continue")
        with probe.client(sent) as client:
            assert client.response().status == 100
