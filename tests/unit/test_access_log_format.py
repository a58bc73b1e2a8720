"""The format of access log lines: which atoms there are, what is refused, what is escaped."""

import json
import os
import re
import time
from typing import Any

import pytest
from fastlb.worker.access_log.line_format import escape, parse_access_log_format
from fastlb.worker.access_log.lines import AnsweredRequest, LineMaker
from hypothesis import given, strategies

GUNICORNS_DEFAULT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'


class Answered(AnsweredRequest):
    """A request with everything in it that a line can tell."""

    def __init__(self, **fields: Any) -> None:
        self.client, self.client_port = "10.1.2.3", 5000
        self.method, self.target, self.protocol = "GET", "/shop?q=1&r=2", "HTTP/1.1"
        self.status, self.body_bytes, self.duration_ns = 200, 1234, 2_034_567_890
        self.headers: dict[str, str] = {"referer": "http://a/", "user-agent": "curl/8", "host": "example"}
        self.headers |= fields.pop("headers", {})
        for name, value in fields.items():
            setattr(self, name, value)

    def request_header(self, name: str) -> str | None:
        return self.headers.get(name.lower())

    def response_header(self, name: str) -> str | None:
        return {"x-shop": "north"}.get(name.lower())

    def variable(self, name: str) -> str | None:
        return {"REMOTE_PORT": "5000"}.get(name)


def line(text: str, **fields: Any) -> str:
    return LineMaker(text).line(Answered(**fields))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%(h)s %(l)s %(m)s %(U)s %(q)s %(H)s", "10.1.2.3 - GET /shop q=1&r=2 HTTP/1.1"),
        ('"%(r)s" %(s)s %(b)s %(B)s', '"GET /shop?q=1&r=2 HTTP/1.1" 200 1234 1234'),
        ("%(T)s %(M)s %(D)s %(L)s", "2 2034 2034567 2.034567"),
        ("%(f)s %(a)s", "http://a/ curl/8"),
        ("%({Host}i)s %({X-Shop}o)s %({REMOTE_PORT}e)s", "example north 5000"),
        ("%({No}i)s %({No}o)s %({NO}e)s", "- - -"),
        ("%(s)d %(D)10d|%(m)-6s|%(m)6s", "200    2034567|GET   |   GET"),
        ("100%%", "100%"),
        ("nothing at all", "nothing at all"),
    ],
)
def test_line_says_what_its_format_asks_for(text: str, expected: str) -> None:
    assert line(text) == expected


def test_line_tells_the_process() -> None:
    assert line("%(p)s") == f"<{os.getpid()}>"


def test_default_of_gunicorn_is_understood() -> None:
    shown = line(GUNICORNS_DEFAULT, body_bytes=0, client="")
    moment = re.escape(time.strftime("%Y:"))
    form = rf'- - - \[\d\d/[A-Z][a-z][a-z]/{moment}\d\d:\d\d:\d\d [+-]\d{{4}}\] '
    assert re.fullmatch(form + re.escape('"GET /shop?q=1&r=2 HTTP/1.1" 200 - "http://a/" "curl/8"'), shown)


@pytest.mark.parametrize(
    ("authorization", "user"),
    [
        ("Basic YWxpY2U6c2VjcmV0", "alice"),
        ("basic YWxpY2U6c2VjcmV0", "alice"),
        ("Bearer YWxpY2U6c2VjcmV0", "-"),
        ("Basic !!!", "-"),
        ("Basic YWxpY2U=", "-"),
        ("Basic YQpiOmM=", "a\\x0ab"),
    ],
)
def test_user_is_that_of_basic_authentication(authorization: str, user: str) -> None:
    assert line("%(u)s", headers={"authorization": authorization}) == user


def test_what_a_client_sends_cannot_end_a_line_or_a_field() -> None:
    shown = line('"%(a)s" %({X}i)s', headers={"user-agent": 'a" 200\\\r\n\x1b[31m\x7f', "x": "é\u2028\udcff中"})
    assert shown == '"a\\" 200\\\\\\x0d\\x0a\\x1b[31m\\x7f" \\xe9\\u2028\\udcff\\u4e2d'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("%(x)s", "%(x)s is no atom: there are %(h)s, "),
        ("%({Host}x)s", "%({Host}x)s is no atom"),
        ("%({}i)s", "%({}i)s is no atom"),
        ("%h %s", "'%h %s' is no atom: write %(h)s, or %% for a %"),
        ("%(h)", "'%(h)' is no atom"),
        ("50%", "'%' is no atom"),
        ("%(h)r", "'%(h)r' is no atom"),
        ("%(h)d", "%(h)d is no number: write %(h)s"),
        ("%(h)99999s", "is no atom"),
        ("%(h)s\n%(s)s", "one line of printable characters"),
    ],
)
def test_format_that_is_none_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_access_log_format(text)


def test_line_of_json_says_everything() -> None:
    found = json.loads(line("json", headers={"x-request-id": "abc"}))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "client": "10.1.2.3",
        "method": "GET",
        "path": "/shop",
        "query": "q=1&r=2",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 1234,
        "duration_ms": 2034.567,
        "referer": "http://a/",
        "user_agent": "curl/8",
        "request_id": "abc",
    }
    assert "request_id" not in json.loads(line("json"))


def test_line_of_json_is_printable_ascii() -> None:
    sent = "/\x1b[2J\n\x7f\x9b\u2028\""
    text = line("json", target=sent)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["path"] == sent


TEXTS = strategies.one_of(strategies.text(), strategies.binary())


@given(TEXTS, strategies.integers(-40, 40))
def test_whatever_is_sent_is_escaped_and_padded(sent: str | bytes, width: int) -> None:
    shown = sent.decode("latin-1") if isinstance(sent, bytes) else sent
    expected = (f"%{width}s" if width else "%s") % (escape(shown) or "-")
    assert line(f"|%({{X}}i){width or ''}s|%(U)s", headers={"x": sent}, target="/a?b") == f"|{expected}|/a"


@given(TEXTS)
def test_whatever_is_sent_comes_back_out_of_json(sent: str | bytes) -> None:
    text = line("json", target=sent, headers={"user-agent": sent})
    shown = sent.decode("latin-1") if isinstance(sent, bytes) else sent
    path, _, query = shown.partition("?")
    found = json.loads(text)
    assert (found["path"], found["query"], found["user_agent"]) == (path, query, shown)
    assert text.isascii()
    assert text.isprintable()


@given(strategies.integers(0, 2**63 - 1), strategies.integers(0, 2**63 - 1))
def test_numbers_are_those_of_the_request(size: int, duration_ns: int) -> None:
    microseconds = duration_ns // 1000
    expected = f"{size} {size or '-'} {duration_ns // 10**9} {microseconds // 1000} {microseconds}"
    assert line("%(B)s %(b)s %(T)s %(M)s %(D)s", body_bytes=size, duration_ns=duration_ns) == expected


def test_default_line_is_that_of_uvicorn() -> None:
    assert line("") == '10.1.2.3:5000 - "GET /shop?q=1&r=2 HTTP/1.1" 200'
    assert line("", client="", client_port=0) == ' - "GET /shop?q=1&r=2 HTTP/1.1" 200'
