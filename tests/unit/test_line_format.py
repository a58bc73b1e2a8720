"""What a line looks like: as it is, with a time, as JSON."""

import json
from datetime import datetime

import pytest
from fastlb.supervisor.output.line_format import FormatRules, Origin, make_format

ORIGIN = Origin("shop", 3, 4711, "err")
MOMENT = datetime(2026, 3, 1, 15, 4, 5, 67_000).astimezone()
LINES = b"first\n\n  third: caf\xc3\xa9 \xff\n"


def written(lines: bytes, **rules: object) -> bytes:
    """Return what is made of lines at MOMENT."""
    return make_format(FormatRules(**rules), MOMENT.timestamp)(ORIGIN, lines)  # type: ignore[arg-type]


def test_what_is_not_asked_for_leaves_the_lines_alone() -> None:
    assert written(LINES) is LINES


def test_time_is_what_pm2_writes() -> None:
    stamp = b"2026-03-01T15:04:05: "
    assert written(LINES, time=True) == stamp + b"first\n" + stamp + b"\n" + stamp + b"  third: caf\xc3\xa9 \xff\n"


def test_format_of_the_time_and_worker() -> None:
    assert written(b"one\n", log_date_format="HH:mm:ss.SSS") == b"15:04:05.067: one\n"
    assert written(b"one\ntwo\n", log_worker=True) == b"3|shop | one\n3|shop | two\n"
    assert written(b"one\n", log_worker=True, log_date_format="%H") == b"15: 3|shop | one\n"


def test_json_says_who_wrote_each_line_and_when() -> None:
    first, empty, last = (json.loads(line) for line in written(LINES, log_type="json").splitlines())
    assert first == {
        "timestamp": MOMENT.isoformat(timespec="milliseconds"),
        "app": "shop",
        "worker": 3,
        "pid": 4711,
        "stream": "err",
        "message": "first",
    }
    assert (empty["message"], last["message"]) == ("", "  third: caf\u00e9 \\xff")


OBJECT = b'{"message": "paid", "level": "info", "worker": "mine"}'


def test_line_that_is_an_object_is_a_message_or_gives_its_members() -> None:
    assert json.loads(written(OBJECT + b"\n", log_type="json"))["message"] == OBJECT.decode()
    merged = json.loads(written(OBJECT + b"\n", log_type="json", log_json="merge"))
    assert (merged["message"], merged["level"], merged["worker"], merged["app"]) == ("paid", "info", "mine", "shop")


@pytest.mark.parametrize("line", [b"{not json}", b"[1, 2]", b'{"a": 1} tail', b'"text"', b"{" * 5000 + b"}" * 5000])
def test_line_that_is_no_object_is_a_message_although_members_are_wanted(line: bytes) -> None:
    assert json.loads(written(line + b"\n", log_type="json", log_json="merge"))["message"] == line.decode()


def test_time_never_goes_back() -> None:
    moments = iter([100.0, 99.0, 101.0])
    write = make_format(FormatRules(log_date_format="X"), lambda: next(moments))
    assert [write(ORIGIN, b"\n") for _ in range(3)] == [b"100: \n", b"100: \n", b"101: \n"]
