"""What apps count themselves: sums outlast processes, files of workers are not believed."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastlb.supervisor.control.protocol import AppMetrics, OwnFamily, OwnSample
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.metrics.exposition import metrics_text
from fastlb.supervisor.own_metrics.count_file import MOST_BYTES as MOST_FILE_BYTES
from fastlb.supervisor.own_metrics.count_file import Values, values_in
from fastlb.supervisor.own_metrics.directories import (
    MOST_FILES,
    VARIABLE,
    Directory,
    counting_environment,
    leave_nothing_outside,
)
from fastlb.supervisor.own_metrics.families import MOST_BYTES, OwnFamilies, of_prom_client, text_of
from fastlb.supervisor.own_metrics.files import CountingFiles
from fastlb.supervisor.own_metrics.joining import joined
from fastlb.supervisor.settings.app_config import AppConfig
from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics.parser import text_string_to_metric_families

DEAD = 2**22 + 1  # above the largest pid


def files_in(path: Path) -> CountingFiles:
    (path / "live").mkdir()
    return CountingFiles([Directory(path / "live", os.geteuid())], Directory(path / "gone", os.geteuid()))


def live_of(files: CountingFiles) -> Path:
    return files.directories[0].path


def write(path: Path, value: float, name: str = "hits_total") -> None:
    file = MmapedDict(str(path))
    file.write_value(mmap_key("hits", name, [], [], "Help."), value, 0.0)
    file.close()


def read(files: CountingFiles) -> dict[str, float]:
    return {sample.name: float(sample.value) for family in files.read()[0] for sample in family.samples}


@pytest.mark.parametrize(
    ("rule", "expected"), [("sum", (5.0, 0.0)), ("max", (3.0, 0.0)), ("min", (2.0, 0.0)), ("mostrecent", (2.0, 9.0))]
)
def test_what_two_processes_have_counted_is_joined(rule: str, expected: tuple[float, float]) -> None:
    before: Values = {"a": (2.0, 9.0), "b": (1.0, 0.0)}
    after: Values = {"a": (3.0, 4.0), "c": (1.0, 0.0)}
    assert joined(before, after, rule) == {"a": expected, "b": (1.0, 0.0), "c": (1.0, 0.0)}


def test_counters_of_dead_processes_go_on_in_one_file(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    write(live_of(files) / f"counter_{os.getpid()}.db", 4)
    for number in range(5):
        write(live_of(files) / f"counter_{DEAD + number}.db", 10)
        assert read(files) == {"hits_total": 4.0 + 10 * (number + 1)}
    assert [path.name for path in live_of(files).iterdir()] == [f"counter_{os.getpid()}.db"]
    assert [path.name for path in files.gone.path.iterdir()] == ["counter_0.db"]
    files.remove()
    assert read(files) == {}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("liveall", {}), ("livesum", {}), ("all", {}), ("max", {"hits": 7.0}), ("sum", {"hits": 7.0})],
)
def test_gauges_of_dead_processes_are_gone_but_for_those_that_last(
    tmp_path: Path, mode: str, expected: dict[str, float]
) -> None:
    files = files_in(tmp_path)
    write(live_of(files) / f"gauge_{mode}_{DEAD}.db", 7, "hits")
    assert read(files) == expected


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    "make",
    [
        make_link,
        os.mkfifo,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 5000),
        lambda path: path.write_bytes(b"\x00\x01\x00\x00" + b"\x00" * 5000),
        lambda path: path.write_bytes(b"\x30\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00[1, 2]  " + b"\x00" * 5000),
        lambda path: write_key(path, '["a", "b", {"c": 1}, "d"]'),
        lambda path: path.write_bytes(
            struct.pack("<iii12sddi", 5000, 0, 4, b"null", 0.0, 0.0, -28) + b"\x00" * 5000
        ),
    ],
    ids=["link", "fifo", "empty", "nonsense", "too-short", "no-key", "label-no-text", "without-an-end"],
)
def test_files_that_are_none_cost_nothing_but_themselves(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    files = files_in(tmp_path)
    path = live_of(files) / f"counter_{os.getpid()}.db"
    make(path)
    write(live_of(files) / f"counter_{DEAD}.db", 3)
    assert not values_in(path)
    assert read(files) == {"hits_total": 3.0}


def write_key(path: Path, key: str) -> None:
    file = MmapedDict(str(path))
    file.write_value(key, 1.0, 0.0)
    file.close()


def test_name_that_is_none_costs_no_other(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    write_key(live_of(files) / f"counter_{os.getppid()}.db", '["", "", {}, ""]')
    write(live_of(files) / f"counter_{os.getpid()}.db", 3)
    assert read(files)["hits_total"] == 3.0


KINDS = [
    "counter", "histogram", "summary", "gauge_all", "gauge_liveall", "gauge_max", "gauge_livemax", "gauge_min",
    "gauge_livemin", "gauge_sum", "gauge_livesum", "gauge_mostrecent", "gauge_livemostrecent",
]  # fmt: skip


def write_several(path: Path, kind: str, of: int) -> None:
    """Write a family of each kind as a process has counted it; `of`: which one."""
    file = MmapedDict(str(path))
    for label in ("x", "y"):
        names = [f"{kind}_sum", *[f"{kind}_bucket"] * 3] if kind == "histogram" else [kind]
        for at, name in enumerate(names):
            le = {"le": ("", "+Inf", "0.5", "10.0")[at]} if at else {}
            labels = {"code": label, **le}
            file.write_value(mmap_key(kind, name, [*labels], [*labels.values()], f"Of {of}."), at + 1.5 * of, 9.0 - of)
    file.close()


def told(families: Iterable[Metric | OwnFamily]) -> list[tuple[str, str, dict[str, str], float]]:
    return [
        (family.name, one.name, dict(one.labels), float(one.value)) for family in families for one in family.samples
    ]


def test_files_are_joined_as_the_library_joins_them(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    paths = [live_of(files) / f"{kind}_{pid}.db" for kind in KINDS for pid in (os.getpid(), os.getppid(), 1)]
    for at, path in enumerate(paths):
        write_several(path, path.name.rpartition("_")[0], 1 + at % 3)
    expected = told(MultiProcessCollector.merge([str(path) for path in paths], accumulate=True))
    assert len(expected) > len(KINDS)
    found, missing = files.read()
    assert missing == []
    assert {family.name: family.kind for family in found} == {kind: kind.partition("_")[0] for kind in KINDS}
    assert sorted(told(found), key=repr) == sorted(expected, key=repr)


ANOTHER_FILE = """
import os
import sys
from pathlib import Path
from fastlb.supervisor.own_metrics.directories import Directory
from fastlb.supervisor.own_metrics.files import CountingFiles

live, gone = map(Path, sys.argv[1:])
(path,) = live.iterdir()
opened = []


def look(event, arguments):
    if event == "open" and str(arguments[0]).endswith(path.name):
        opened.append(arguments[0])
        if len(opened) > 1:
            path.with_name("other").write_bytes(b"\\xff" * 5000)
            path.with_name("other").rename(path)


sys.addaudithook(look)
uid = os.geteuid()
found, missing = CountingFiles([Directory(live, uid)], Directory(gone, uid)).read()
print(missing, [float(sample.value) for family in found for sample in family.samples], len(opened))
"""


def test_file_is_opened_once(tmp_path: Path) -> None:
    """What a worker has put in its place since it was looked at is not read."""
    files = files_in(tmp_path)
    write(live_of(files) / f"counter_{os.getpid()}.db", 4)
    command = [sys.executable, "-c", ANOTHER_FILE, str(live_of(files)), str(files.gone.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.stdout) == ("", "[] [4.0] 1\n")


@pytest.mark.parametrize(
    ("family", "is_kept"),
    [
        (OwnFamily("hits", "counter", "", [OwnSample("hits_total", {}, "1.0")]), True),
        (OwnFamily("hits", "counter", "", [OwnSample("hits", {}, "1.0")]), False),
        (OwnFamily("fastlb_worker_up", "gauge", "", [OwnSample("fastlb_worker_up", {}, "1.0")]), False),
        (OwnFamily("a b", "gauge", "", [OwnSample("a b", {}, "1.0")]), False),
        (OwnFamily("hits", "nonsense", "", [OwnSample("hits", {}, "1.0")]), False),
        (OwnFamily("hits", "gauge", "", [OwnSample("hits", {"a\n": "b"}, "1.0")]), False),
        (OwnFamily("hits", "gauge", "", [OwnSample("hits", {"a": "x" * MOST_BYTES}, "1.0")]), False),
    ],
)
def test_only_what_can_be_said_is_kept(family: OwnFamily, is_kept: bool) -> None:
    found = OwnFamilies()
    found.add(family)
    assert sum(len(one.samples) for one in found.families.values()) == is_kept
    assert found.left_out == (not is_kept)


@pytest.mark.parametrize(
    ("value", "text"), [(1.5, "1.5"), (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN")]
)
def test_numbers_are_written_as_lines_have_them(value: float, text: str) -> None:
    assert text_of(value) == text


def test_metrics_of_prom_client_are_told_apart_by_worker() -> None:
    metrics = [
        {"name": "hits_total", "type": "counter", "help": "Hits.", "values": [{"value": 3, "labels": {"code": 200}}]},
        {
            "name": "took",
            "type": "histogram",
            "help": "",
            "values": [
                {"value": 1, "labels": {"le": "+Inf"}, "metricName": "took_bucket"},
                {"value": None, "labels": {}, "metricName": "took_sum"},
            ],
        },
    ]
    hits, took = of_prom_client(msgspec.json.encode(metrics).decode(), 2)
    assert (hits.name, hits.samples) == ("hits", [OwnSample("hits_total", {"code": "200", "worker": "2"}, "3.0")])
    assert took.samples == [OwnSample("took_bucket", {"le": "+Inf", "worker": "2"}, "1.0")]
    assert of_prom_client("{", 0) == []


def app(name: str, *own: OwnFamily) -> AppMetrics:
    return AppMetrics(
        name=name, status="online", pid=1, uptime_s=1.0, restarts=0, binds=[], balance="", workers=[],
        figures=[], dispatcher={}, logs={}, max_memory_bytes=0, own=list(own),
    )  # fmt: skip


def test_families_of_several_apps_are_one_each() -> None:
    hits = OwnFamily("hits", "counter", 'a "word"', [OwnSample("hits_total", {"app": "b\n", "k": "v"}, "1.0")])
    other = OwnFamily("hits", "gauge", "", [OwnSample("hits", {}, "1.0")])
    text = metrics_text([app("one", hits), app("two", hits), app("three", other)]).decode()
    (family,) = [family for family in text_string_to_metric_families(text) if family.name == "hits"]
    assert [sample.labels for sample in family.samples] == [
        {"app": "one", "exported_app": "b\n", "k": "v"},
        {"app": "two", "exported_app": "b\n", "k": "v"},
    ]


def test_start_leaves_nothing_that_one_before_has_left_elsewhere(tmp_path: Path) -> None:
    """The supervisor of before was killed, and the workers are another user's now: nobody asks for that directory."""
    live, gone = tmp_path / "tmp", tmp_path / "app" / "gone"
    live.mkdir()
    gone.mkdir(parents=True)
    write(live / f"counter_{DEAD}.db", 4)
    CountingFiles([Directory(live, os.geteuid())], Directory(gone, os.geteuid())).remove()
    assert not live.exists()
    assert gone.exists()


@pytest.mark.parametrize("is_inside", [True, False])
def test_directory_outside_of_the_app_goes_with_it(tmp_path: Path, is_inside: bool) -> None:
    files = files_in(tmp_path)
    write(live_of(files) / f"counter_{os.getpid()}.db", 4)
    leave_nothing_outside(files.directories, tmp_path if is_inside else tmp_path / "app")
    assert live_of(files).exists() is is_inside


def test_directory_that_was_replaced_by_a_link_leads_nowhere(tmp_path: Path) -> None:
    files, other = files_in(tmp_path), tmp_path / "other"
    other.mkdir()
    write(other / f"counter_{DEAD}.db", 4)
    live_of(files).rmdir()
    live_of(files).symlink_to(other)
    assert read(files) == {}
    files.remove()
    leave_nothing_outside(files.directories, tmp_path / "app")
    assert [path.name for path in other.iterdir()] == [f"counter_{DEAD}.db"]


def test_directory_of_another_user_is_left_alone(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    write(live_of(files) / f"counter_{DEAD}.db", 4)
    CountingFiles([Directory(live_of(files), os.geteuid() + 1)], files.gone).add_up_gone()
    assert len(list(live_of(files).iterdir())) == 1


def test_label_without_utf_8_costs_itself_alone() -> None:
    found = OwnFamilies()
    odd = OwnSample("hits_total", {"path": "\udcff"}, "1.0")
    found.add(OwnFamily("hits", "counter", "Help.", [odd, OwnSample("hits_total", {"path": "/"}, "2.0")]))
    assert [sample.value for sample in found.families["hits"].samples] == ["2.0"]
    assert found.left_out == 1


def test_workers_of_two_users_are_summed(tmp_path: Path) -> None:
    """A reload has changed the user: those of before still count, and what they have counted is added up."""
    uid = os.geteuid()
    files = CountingFiles([Directory(tmp_path / "a", uid), Directory(tmp_path / "b", uid)], Directory(tmp_path, uid))
    for directory, dead in ((files.directories[0].path, 3), (files.directories[1].path, 40)):
        directory.mkdir()
        write(directory / f"counter_{DEAD}.db", dead)
        write(directory / f"counter_{os.getpid()}.db", 100)
    assert read(files) == {"hits_total": 243.0}
    assert [len(list(directory.path.iterdir())) for directory in files.directories] == [1, 1]


def test_directories_are_known_from_the_first_worker_to_the_next_start(tmp_path: Path) -> None:
    paths = AppPaths(tmp_path, "shop")
    paths.app_dir.mkdir(parents=True)
    assert CountingFiles.of(paths).directories == []
    assert counting_environment(AppConfig(name="shop", target="shop:app"), paths) == {}
    config = AppConfig(name="shop", target="shop:app", metrics_app=True)
    directory = Path(counting_environment(config, paths)[VARIABLE])
    assert CountingFiles.of(paths).directories == [Directory(directory, os.geteuid())]
    write(directory / f"counter_{DEAD}.db", 4)
    assert read(CountingFiles.of(paths)) == {"hits_total": 4.0}
    CountingFiles.of(paths).remove()
    assert CountingFiles.of(paths).directories == []
    assert list((paths.app_dir / "prometheus-gone").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may run workers as somebody else")
def test_directory_of_another_user_is_his_and_goes_at_the_end(tmp_path: Path) -> None:
    paths = AppPaths(tmp_path, "shop")
    paths.app_dir.mkdir(parents=True)
    config = AppConfig(name="shop", target="shop:app", metrics_app=True, uid="12345")
    directory = Path(counting_environment(config, paths)[VARIABLE])
    try:
        assert (directory.stat().st_uid, directory.stat().st_mode & 0o777) == (12345, 0o700)
        counting_environment(AppConfig(name="shop", target="shop:app", metrics_app=True), paths)
        write(directory / f"counter_{DEAD}.db", 4)
        assert read(CountingFiles.of(paths)) == {"hits_total": 4.0}
    finally:
        leave_nothing_outside(CountingFiles.of(paths).directories, paths.app_dir)
    assert not directory.exists()


def test_file_that_is_too_large_is_said(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    path = live_of(files) / f"counter_{DEAD}.db"
    write(path, 4)
    os.truncate(path, MOST_FILE_BYTES + 1)
    assert files.add_up_gone() == [f"counter_{DEAD}.db is left out: it is above 16 MiB"]
    assert not path.exists()
    write(live_of(files) / f"counter_{os.getpid()}.db", 4)
    os.truncate(live_of(files) / f"counter_{os.getpid()}.db", MOST_FILE_BYTES + 1)
    assert files.read() == ([], [f"counter_{os.getpid()}.db is left out: it is above 16 MiB"])


def test_directory_with_more_files_than_are_read_is_said(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    for number in range(MOST_FILES):
        (live_of(files) / f"odd-{number}").touch()
    assert files.read() == ([], [])
    (live_of(files) / "one-more").touch()
    said = f"{live_of(files)} has more than 4096 files: only as many are told"
    assert files.read() == ([], [said])


def test_sums_that_would_be_too_large_stay_as_they_are(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    for number in range(3):
        write_large(live_of(files) / f"counter_{DEAD + number}.db", str(number))
    assert len(files.add_up_gone()) == 1
    assert len(read(files)) == 2
    assert list(live_of(files).iterdir()) == []


def test_more_than_can_be_read_is_nothing(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    for kind in ("counter", "summary", "histogram", "gauge_max", "gauge_min"):
        write_large(live_of(files) / f"{kind}_{os.getpid()}.db", kind)
    assert files.read() == ([], ["the app counts more than 32 MiB: nothing of it is told"])


def write_large(path: Path, name: str) -> None:
    """Write a file of 7 MiB."""
    file = MmapedDict(str(path))
    file.write_value(mmap_key(name, name, [], [], "x" * (7 << 20)), 1.0, 0.0)
    file.close()


FULL_DISK = """
import sys
from pathlib import Path
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.own_metrics.count_file import MOST_BYTES as MOST_FILE_BYTES
from fastlb.supervisor.own_metrics.count_file import Values, values_in
from fastlb.supervisor.own_metrics.directories import VARIABLE, Directory, counting_environment
from fastlb.supervisor.own_metrics.files import CountingFiles

live, gone = map(Path, sys.argv[1:])
files = CountingFiles([Directory(live, 0)], Directory(gone, 0))
with (gone / "filling").open("wb", buffering=0) as filling:
    try:
        while filling.write(bytes(4096)):
            pass
    except OSError:
        pass
found, missing = files.read()
print(missing, [float(sample.value) for family in found for sample in family.samples], len(list(live.iterdir())))
(gone / "filling").unlink()
found, missing = files.read()
print(missing, [float(sample.value) for family in found for sample in family.samples], len(list(live.iterdir())))
"""


def test_full_disk_costs_no_count_and_ends_nobody(tmp_path: Path) -> None:
    """By the library's own map the process would be ended by SIGBUS."""
    files = files_in(tmp_path)
    files.gone.path.mkdir()
    write(live_of(files) / f"counter_{DEAD}.db", 4)
    script = f'mount -t tmpfs -o size=64k tmpfs "{files.gone.path}" && exec "$@"'
    command = ["unshare", "-Urm", "sh", "-c", script, "sh", sys.executable, "-c", FULL_DISK]
    if not shutil.which("unshare") or subprocess.run([*command[:2], "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here in which a disk could be full")
    done = subprocess.run([*command, live_of(files), files.gone.path], capture_output=True, text=True, timeout=60)
    waits = f"counter_{DEAD}.db, of an ended process, waits to be added up: No space left on device"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{[waits]} [4.0] 1", "[] [4.0] 0"]
