"""The file of events: each a line of JSON, bounded in bytes, read again whole and in order."""

import json
import os
import stat
from pathlib import Path

from fastlb.cli.event_reader import EventReader, last_events
from fastlb.cli.event_text import describe_event
from fastlb.supervisor.output.event_file import EventFile
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.output.event_record import (
    MAX_FILE_BYTES,
    MAX_TEXT_CHARACTERS,
    Event,
    decode_event,
    encode_event,
    put_away_name,
)
from hypothesis import given
from hypothesis import strategies as st

from .test_event_log import full_disk

FILLING = "x" * (MAX_TEXT_CHARACTERS - 100)


def events_file(directory: Path) -> Path:
    return directory / "shop-events.jsonl"


def write(file: EventFile, *names: str, text: str = "") -> None:
    for at, name in enumerate(names):
        file.append(float(at), "info", name, {"text": text} if text else {})


def names_of(events: list[Event]) -> list[str]:
    return [event.event for event in events]


def test_what_the_log_says_is_an_event_with_the_same_fields(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "shop-supervisor.log", events=EventFile(events_file(tmp_path), "shop"))
    log.error("worker_crashed", worker_id=3, pid=4711, reason="killed by SIGSEGV", file=tmp_path)
    log.close()
    [line] = events_file(tmp_path).read_text().splitlines()
    members = json.loads(line)
    assert members.pop("time").endswith("Z")
    assert members == {
        "level": "error",
        "event": "worker_crashed",
        "app": "shop",
        "worker_id": 3,
        "pid": 4711,
        "reason": "killed by SIGSEGV",
        "file": str(tmp_path),
    }
    assert stat.S_IMODE(events_file(tmp_path).stat().st_mode) == 0o640


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers(-(2**60), 2**60) | st.booleans() | st.none()))
def test_any_event_is_one_line_and_is_read_again(name: str, fields: dict[str, object]) -> None:
    line = encode_event(Event("now", "info", name, "shop", fields))
    assert line.count(b"\n") == 1
    event = decode_event(line)
    assert event
    assert (event.time, event.level, event.app) == ("now", "info", "shop")
    assert len(event.fields) <= 32
    shown = "".join(describe_event(event, has_app=True))
    assert len(shown.splitlines()) == 1
    assert "\x1b" not in shown


def test_long_text_is_cut_and_bytes_that_are_no_text_are_escaped() -> None:
    line = encode_event(Event("", "info", "event", "shop", {"text": "x" * 1_000_000, "name": "\udcff"}))
    event = decode_event(line)
    assert event
    assert event.fields == {"text": "x" * MAX_TEXT_CHARACTERS + "...", "name": "\\udcff"}


def test_what_is_no_event_is_passed_over(tmp_path: Path) -> None:
    lines = (b"no json", b"[]", b"{}", b'{"time":1,"level":"info","event":"a","app":"b"}', b"\xff", b"[" * 100_000)
    assert [decode_event(line) for line in lines] == [None] * len(lines)
    good = encode_event(Event("", "info", "good", "shop", {}))
    events_file(tmp_path).write_bytes(b"\n".join(lines) + b"\n" + good + b'{"time":"torn')
    reader = EventReader(events_file(tmp_path), "shop")
    assert names_of(reader.read_kept()) == ["good"]
    reader.close()


def test_bytes_on_disk_are_bounded_and_the_newest_are_kept(tmp_path: Path) -> None:
    path = events_file(tmp_path)
    file = EventFile(path, "shop")
    most = 3 * MAX_FILE_BYTES // len(FILLING)
    write(file, *(f"event_{at}" for at in range(most)), text=FILLING)
    file.close()
    sizes = [one.stat().st_size for one in (path, put_away_name(path))]
    assert all(0 < size <= MAX_FILE_BYTES for size in sizes)
    assert sorted(tmp_path.iterdir()) == sorted([path, put_away_name(path)])
    reader = EventReader(path, "shop")
    kept = names_of(reader.read_kept())
    reader.close()
    assert kept == [f"event_{at}" for at in range(most - len(kept), most)]
    assert len(kept) > most / 3


def test_file_that_cannot_be_put_away_is_bounded_all_the_same(tmp_path: Path) -> None:
    path = events_file(tmp_path)
    put_away_name(path).mkdir()
    (put_away_name(path) / "in the way").touch()
    file = EventFile(path, "shop")
    write(file, *["event"] * (2 * MAX_FILE_BYTES // len(FILLING)), text=FILLING)
    file.close()
    assert 0 < path.stat().st_size <= MAX_FILE_BYTES


def test_lost_events_are_counted_once_there_is_room(tmp_path: Path) -> None:
    file = EventFile(events_file(tmp_path), "shop")
    write(file, "before")
    with full_disk():
        write(file, "lost", "lost")
    write(file, "after")
    file.close()
    reader = EventReader(events_file(tmp_path), "shop")
    events = reader.read_kept()
    reader.close()
    assert names_of(events) == ["before", "events_lost", "after"]
    assert events[1].fields == {"count": 2}


def test_reader_goes_on_where_it_was_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    path = events_file(tmp_path)
    reader = EventReader(path, "shop")
    assert reader.read_kept() == []
    assert reader.read_new() == []
    file = EventFile(path, "shop")
    write(file, "one", "two")
    assert names_of(reader.read_new()) == ["one", "two"]
    write(file, "three")
    os.replace(path, put_away_name(path))
    file.reopen_if_moved()
    write(file, "four")
    assert names_of(reader.read_new()) == ["three", "four"]
    for name in ("five", "six"):  # twice put away between two looks
        write(file, name)
        os.replace(path, put_away_name(path))
        file.reopen_if_moved()
    write(file, "seven")
    assert names_of(reader.read_new()) == ["five", "events_missed", "six", "seven"]
    assert reader.read_new() == []
    file.close()
    reader.close()


def test_events_of_some_workers_alone(tmp_path: Path) -> None:
    file = EventFile(events_file(tmp_path), "shop")
    for worker_id in (0, 1, None, 3):
        file.append(0.0, "info", f"of_{worker_id}", {} if worker_id is None else {"worker_id": worker_id})
    file.close()
    reader = EventReader(events_file(tmp_path), "shop", (1, 3))
    assert names_of(reader.read_kept()) == ["of_1", "of_3"]
    reader.close()


def test_half_a_line_waits_for_its_rest(tmp_path: Path) -> None:
    path = events_file(tmp_path)
    line = encode_event(Event("", "info", "whole", "shop", {}))
    path.write_bytes(line[:10])
    reader = EventReader(path, "shop")
    assert reader.read_kept() == []
    with open(path, "ab") as file:
        file.write(line[10:])
    assert names_of(reader.read_new()) == ["whole"]
    reader.close()


def test_events_of_several_apps_are_in_the_order_of_their_times(tmp_path: Path) -> None:
    readers = []
    for app, moments in (("a", (1.0, 4.0)), ("b", (2.0, 3.0))):
        file = EventFile(tmp_path / f"{app}-events.jsonl", app)
        for moment in moments:
            file.append(moment, "info", f"at_{moment:.0f}", {})
        file.close()
        readers.append(EventReader(tmp_path / f"{app}-events.jsonl", app))
    assert names_of(last_events(readers, 3)) == ["at_2", "at_3", "at_4"]
    assert last_events(readers, 0) == []
    for reader in readers:
        reader.close()


def test_event_is_shown_with_whom_it_is_about_and_why() -> None:
    fields = {"worker_id": 3, "generation": 2, "pid": 7, "reason": "killed by SIGSEGV\x1b[2J", "restart_in_s": 0.1}
    head, text = describe_event(Event("T", "error", "worker_crashed", "shop", fields), has_app=True)
    assert head.split() == ["T", "shop", "worker_crashed"]
    assert text == r" worker 3 pid 7: killed by SIGSEGV\x1b[2J (restart_in_s=0.1)"
    assert describe_event(Event("T", "info", "stop_asked", "shop", {"by": "x"}), has_app=False)[1] == " by=x"
