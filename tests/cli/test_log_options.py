"""What `fastlb logs` shows of files that are there: which lines, in which order, and how they look."""

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import Fastlb

from .conftest import remember

HOSTILE = "\x1b]0;title\x07caf\u00e9\x9b2J"
OUT = f"""\
2026-03-01T12:00:01Z: 0|shop | one
2026-03-01T12:00:03Z: 1|shop | three {HOSTILE}
2026-03-01T12:00:05Z: 0|shop | five
"""
ERR = """\
2026-03-01T12:00:02Z: 1|shop | two
2026-03-01T12:00:06Z: 1|shop | {"level":"error"}
"""
EVENTS = """\
2026-03-01T12:00:00.500Z INFO worker_admitted worker_id=1 pid=7
2026-03-01T12:00:04.000Z WARNING worker_crashed worker_id=1 reason="exit 1"
"""


@pytest.fixture
def shop(fastlb: Fastlb) -> AppPaths:
    """Return the files of a stopped app with a line a second in its logs, in turn."""
    paths = remember(fastlb, AppConfig(target="asgi_probe:app", name="shop", workers=2, time=True, log_worker=True))
    paths.out_log.write_text(OUT)
    paths.error_log.write_text(ERR)
    paths.supervisor_log.write_text(EVENTS)
    return paths


def shown(fastlb: Fastlb, *options: str) -> list[str]:
    return fastlb.ok("logs", "shop", *options).stdout.splitlines()


def test_lines_of_all_streams_in_order_and_marked(fastlb: Fastlb, shop: AppPaths) -> None:
    assert shown(fastlb) == [
        "1|shop event | 2026-03-01T12:00:00.500Z INFO worker_admitted worker_id=1 pid=7",
        "0|shop out | 2026-03-01T12:00:01Z: one",
        "1|shop err | 2026-03-01T12:00:02Z: two",
        "1|shop out | 2026-03-01T12:00:03Z: three \\x1b]0;title\\x07caf\u00e9\\x9b2J",
        '1|shop event | 2026-03-01T12:00:04.000Z WARNING worker_crashed worker_id=1 reason="exit 1"',
        "0|shop out | 2026-03-01T12:00:05Z: five",
        '1|shop err | 2026-03-01T12:00:06Z: {"level":"error"}',
    ]


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (("--lines", "2"), "56"),
        (("--out",), "135"),
        (("--out", "--err"), "12356"),
        (("--events",), "04"),
        (("--worker", "0"), "15"),
        (("--worker", "1", "--events"), "04"),
        (("--since", "2026-03-01T12:00:03Z", "--until", "2026-03-01T12:00:05Z"), "345"),
        (("--since", "10m"), ""),
        (("--grep", "t(wo|hree)"), "23"),
        (("--grep", "shop"), ""),
        (("--grep", "e", "--lines", "2", "--out"), "35"),
        (("--level", "warning"), "46"),
        (("--level", "error", "--timestamp", "ss"), "6"),
    ],
)
def test_selection(fastlb: Fastlb, shop: AppPaths, options: Sequence[str], seconds: str) -> None:
    lines = shown(fastlb, "--timestamp", "s", *options)
    assert "".join(line.split()[0].lstrip("0") or "0" for line in lines) == seconds


def test_json_is_one_safe_object_a_line(fastlb: Fastlb, shop: AppPaths) -> None:
    lines = shown(fastlb, "--json")
    assert "\x9b" not in "".join(lines)
    objects = [json.loads(line) for line in lines]
    assert [entry.pop("timestamp")[14:19] for entry in objects] == [f"00:{number:02}" for number in range(7)]
    assert objects[3] == {"app": "shop", "worker": 1, "pid": None, "stream": "out", "message": f"three {HOSTILE}"}
    assert objects[0]["message"] == "INFO worker_admitted worker_id=1 pid=7"


def test_pairs_are_those_of_pm2(fastlb: Fastlb, shop: AppPaths) -> None:
    (line,) = shown(fastlb, "--format", "--grep", "two")
    timestamp, _, rest = line.partition(" ")
    assert timestamp.startswith("timestamp=2026-03-01-")
    assert rest == "app=shop id=1 type=err message=two"


def test_raw_lines_are_as_they_were_written(fastlb: Fastlb, shop: AppPaths) -> None:
    assert fastlb.ok("logs", "shop", "--raw", "--out").stdout == OUT


def test_name_behind_timestamp_is_a_name(fastlb: Fastlb, shop: AppPaths) -> None:
    lines = fastlb.ok("logs", "--timestamp", "shop").stdout.splitlines()
    assert len(lines) == 7
    assert lines[1].endswith(" 0|shop out | one")


def test_number_of_a_worker_means_its_lines(fastlb: Fastlb, shop: AppPaths) -> None:
    fastlb.ok("list")
    lines = fastlb.ok("logs", "1", "--out", "--err").stdout.splitlines()
    assert [line.partition("|")[0] for line in lines] == ["1", "1", "1"]


def test_apps_are_shown_together(fastlb: Fastlb, shop: AppPaths) -> None:
    other = remember(fastlb, AppConfig(target="asgi_probe:app", name="other", time=True))
    other.out_log.write_text("2026-03-01T12:00:02.500Z: between\n")
    lines = fastlb.ok("logs", "all").stdout.splitlines()
    assert len(lines) == 8
    assert lines[3] == "other out | 2026-03-01T12:00:02.500Z: between"


def test_objects_stay_what_they_are(fastlb: Fastlb) -> None:
    paths = remember(fastlb, AppConfig(target="asgi_probe:app", name="shop", log_type="json"))
    text = '{"timestamp":"2026-03-01T12:00:00Z","app":"shop","worker":2,"pid":9,"stream":"out","message":"paid","id":7}'
    paths.out_log.write_text(text + "\n")
    assert shown(fastlb, "--json", "--worker", "2") == [text]
    assert shown(fastlb, "--timestamp", "YYYY") == ["2026 2|shop out | paid"]


def test_rotated_files_are_read(fastlb: Fastlb, shop: AppPaths) -> None:
    packed = Path(str(shop.out_log).replace(".log", "__2026-03-01_11-00-00.log.gz"))
    packed.write_bytes(gzip.compress(b"2026-03-01T11:00:00Z: 2|shop | packed\n"))
    assert shown(fastlb, "--worker", "2") == ["2|shop out | 2026-03-01T11:00:00Z: packed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--since", "soon"), "--since 'soon' is no time: give 10m"),
        (("--until", "25:00"), "--until '25:00' is no time: give 10m"),
        (("--until", "10m", "--follow"), "give one of them"),
        (("--grep", "("), "--grep '(' is no regular expression"),
        (("--level", "loud"), "--level 'loud' is no level: give one of trace"),
        (("--timestamp", "[x]"), "--timestamp: '[x]' shows no time"),
        (("--worker", "x"), "'x' is not a whole number"),
    ],
)
def test_what_means_nothing_is_refused(fastlb: Fastlb, shop: AppPaths, options: Sequence[str], message: str) -> None:
    result = fastlb.cli("logs", "shop", *options)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_large_file_is_read_from_its_end(fastlb: Fastlb, shop: AppPaths) -> None:
    with shop.out_log.open("a") as file:
        file.truncate(1 << 40)  # more than could ever be read
        file.seek(0, 2)
        file.write("\n2026-03-01T13:00:00Z: 0|shop | last\n")
    try:
        assert shown(fastlb, "--lines", "1") == ["0|shop out | 2026-03-01T13:00:00Z: last"]
    finally:
        shop.out_log.unlink()  # others read what logs contain


@pytest.mark.parametrize("command", ["logs", "events", "flush"])
def test_where_there_are_no_apps_one_line_says_so(fastlb: Fastlb, command: str) -> None:
    result = fastlb.ok(command)
    assert re.fullmatch(r"there are no apps yet, so there are no [a-z ]+\n", result.stdout + result.stderr)


@pytest.mark.parametrize("command", ["logs", "events"])
def test_what_programs_read_stays_empty_where_there_are_no_apps(fastlb: Fastlb, command: str) -> None:
    assert fastlb.ok(command, "--json").stdout == ""
