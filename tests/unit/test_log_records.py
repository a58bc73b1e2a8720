"""What a line of a log says of itself, and which lines are wanted."""

import re
from datetime import UTC, datetime

import pytest
from fastlb.cli.log_view.records import Record, Shape, Stream, parse_time, recognize, severity
from fastlb.cli.log_view.selection import Selection, parse_level, parse_moment, parse_pattern

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()


def record(text: str, shape: Shape = "plain", stream: Stream = "out") -> Record:
    return recognize(Record("shop", stream, text.encode(), text), shape)


@pytest.mark.parametrize(
    ("text", "seconds", "rest"),
    [
        ("2026-03-01T12:00:00Z: paid", 0, "paid"),
        ("2026-03-01T12:00:00.250Z INFO worker_ready", 0.25, "INFO worker_ready"),
        ("2026-03-01 12:00:00,250 +0000 x", 0.25, "x"),
        ("2026-03-01 14:00 +02:00: x", 0, "x"),
        ("2026-03-01T12:00:00.123456789Z", 0.123456, ""),
    ],
)
def test_time_in_front_of_a_line(text: str, seconds: float, rest: str) -> None:
    time, start = parse_time(text)
    assert time == pytest.approx(NOON + seconds, abs=1e-5)
    assert text[start:] == rest


@pytest.mark.parametrize(
    "text", ["", "12:00:00 x", "2026-13-01T12:00:00Z x", "2026-03-01T12:00:00x", "x 2026-03-01 12:00"]
)
def test_what_is_no_time(text: str) -> None:
    assert parse_time(text) == (None, 0)


def test_time_without_zone_is_of_this_machine() -> None:
    assert parse_time("2026-03-01T12:00:00: x")[0] == datetime(2026, 3, 1, 12, 0).astimezone().timestamp()


def test_plain_line_says_nothing() -> None:
    found = record("2026-03-01T12:00:00Z: 3|shop | paid")
    assert (found.time, found.worker, found.message) == (None, None, "2026-03-01T12:00:00Z: 3|shop | paid")


def test_line_with_time_and_worker() -> None:
    found = record("2026-03-01T12:00:00Z: 3|shop | paid", "timed")
    assert (found.time, found.worker, found.message) == (NOON, 3, "paid")


def test_object_of_ours() -> None:
    text = '{"timestamp":"2026-03-01T12:00:00Z","app":"shop","worker":3,"pid":7,"stream":"err","message":"paid"}'
    found = record(text, "json", "log")
    assert (found.time, found.worker, found.pid, found.stream, found.message) == (NOON, 3, 7, "err", "paid")


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"worker":"x","timestamp":7,"message":[]}', "[1]", '{"worker":true}', "\ud800"]
)
def test_odd_object_is_text(text: str) -> None:
    found = recognize(Record("shop", "out", text.encode(errors="replace"), text), "json")
    assert (found.time, found.worker, found.message) == (None, None, text)


def test_event() -> None:
    found = record('2026-03-01T12:00:00.000Z ERROR worker_crashed worker_id=3 reason="x"', "events", "event")
    assert (found.time, found.worker, found.message) == (NOON, 3, 'ERROR worker_crashed worker_id=3 reason="x"')
    assert severity(found) == parse_level("error")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ('{"level":"warn"}', "warning"),
        ('{"severity":"CRITICAL"}', "critical"),
        ('{"level":50}', "error"),
        ('{"level":60}', "critical"),
        ('{"level":900}', "critical"),
        ('{"level":-5}', "trace"),
        ('{"msg":"x"}', None),
        ('{"level":null}', None),
        ('{"level":"odd"}', None),
        ("ERROR x", None),
        ("{" * 9000, None),
    ],
)
def test_severity_of_a_json_line(text: str, level: str | None) -> None:
    assert severity(record(text)) == (None if level is None else parse_level(level))


def test_severity_of_json_in_an_object_of_ours() -> None:
    text = '{"timestamp":"2026-03-01T12:00:00Z","stream":"out","message":"{\\"level\\":\\"error\\"}"}'
    assert severity(record(text, "json")) == parse_level("error")


@pytest.mark.parametrize(
    ("selection", "is_wanted"),
    [
        (Selection(), True),
        (Selection(since=NOON, until=NOON), True),
        (Selection(since=NOON + 1), False),
        (Selection(until=NOON - 1), False),
        (Selection(streams=frozenset(("err",))), False),
        (Selection(workers=frozenset((3,))), True),
        (Selection(workers=frozenset((4,))), False),
        (Selection(pattern=re.compile("^pa.d$")), True),
        (Selection(pattern=re.compile("shop")), False),
        (Selection(level=0), False),
    ],
)
def test_selection(selection: Selection, is_wanted: bool) -> None:
    assert selection.wants(record("2026-03-01T12:00:00Z: 3|shop | paid", "timed"), NOON) == is_wanted


def test_lines_of_nobody_known_are_not_those_of_a_worker() -> None:
    assert not Selection(workers=frozenset((0,))).wants(record("x"), NOON)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", NOON - 600),
        ("1h30m", NOON - 5400),
        ("2026-03-01T11:00:00Z", NOON - 3600),
        ("2026-03-01 12:30+01:00", NOON - 1800),
    ],
)
def test_moment(text: str, moment: float) -> None:
    assert parse_moment(text, NOON) == moment


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2026-02-28", (2026, 2, 28)),
        ("today", (2026, 3, 1)),
        ("yesterday", (2026, 2, 28)),
        ("9:05", (2026, 3, 1, 9, 5)),
        ("09:05:07", (2026, 3, 1, 9, 5, 7)),
    ],
)
def test_moment_in_the_zone_of_this_machine(text: str, local: tuple[int, ...]) -> None:
    noon = datetime(2026, 3, 1, 12).timestamp()
    assert parse_moment(text, noon) == datetime(*local).timestamp()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "x", "10", "10x", "25:00", "2026-02-30", "2026-03-01T12:00:00Z x", "9" * 400 + "d"]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: give 10m"):
        parse_moment(text, NOON)


def test_what_is_no_level_or_pattern() -> None:
    with pytest.raises(ValueError, match="give one of trace, debug, info, warning, error, critical"):
        parse_level("loud")
    with pytest.raises(ValueError, match="is no regular expression: missing"):
        parse_pattern("(")
