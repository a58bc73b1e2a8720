"""What can be looked up is complete: every figure, status, signal and file has its row, and nothing else has."""

import os
import re
from typing import get_args

import msgspec
import pytest
from fastlb.cli.app_table import APP_COLUMNS, WORKER_COLUMNS
from fastlb.lb.page import DispatcherPageView, create_dispatcher_page
from fastlb.supervisor.control.protocol import AppEntry, AppStatus, WorkerEntry, WorkerStatus
from fastlb.supervisor.home import saved_apps, worker_ids
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.output.line_file import LOG_MODE
from fastlb.supervisor.signals import MEANING

from .pages import CODE, DOCS, first_words, section, table_rows
from .sources import ROOT

COUNTERS = DOCS / "counters.md"
FILES = DOCS / "files-and-signals.md"
# What the dispatcher's keeper adds to the counters of the page.
OF_THE_KEEPER = {"pid", "replaced"}
# Told by another column, or in words of their own.
ELSEWHERE = {"mode", "binds", "balance", "workers", "impediment"}


def dispatcher_counters() -> set[str]:
    fd = create_dispatcher_page()
    try:
        return set(DispatcherPageView(fd).read())
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("heading", "printed"),
    [
        ("An app in the list", {column.title for column in APP_COLUMNS}),
        ("A worker", {column.title for column in WORKER_COLUMNS}),
        ("Status of an app", set(get_args(AppStatus))),
        ("Status of a worker", set(get_args(WorkerStatus))),
        ("The dispatcher", dispatcher_counters() | OF_THE_KEEPER),
    ],
)
def test_every_figure_has_its_row(heading: str, printed: set[str]) -> None:
    rows = first_words(section(COUNTERS, heading))
    assert sorted(rows) == sorted(printed)


def test_captures_show_every_counter_of_the_dispatcher() -> None:
    """Else they were made before the last ones came: `make captures`."""
    table = (DOCS / "captures.md").read_text().partition("\ndispatcher\n")[2].partition("\n\n")[0]
    shown = {line.split()[0] for line in table.splitlines()[1:]}
    assert shown == dispatcher_counters() | OF_THE_KEEPER


@pytest.mark.parametrize(("heading", "entry"), [("An app in the list", AppEntry), ("A worker", WorkerEntry)])
def test_every_field_of_json_is_named(heading: str, entry: type[msgspec.Struct]) -> None:
    named = set(CODE.findall(section(COUNTERS, heading)))
    fields = {field.name for field in msgspec.structs.fields(entry)} - ELSEWHERE
    assert fields - named == set()


def test_no_row_lacks_its_meaning() -> None:
    assert [row for row in table_rows(COUNTERS.read_text()) if len(row) not in (2, 3) or not row[-1]] == []


def test_every_signal_to_the_supervisor_has_its_row() -> None:
    assert first_words(section(FILES, "Signals to the supervisor")) == [number.name for number in MEANING]


def test_every_file_has_its_row() -> None:
    paths = AppPaths(ROOT / "HOME", "NAME")
    logs = (paths.out_log, paths.error_log, paths.supervisor_log, paths.events)
    of_the_home = (worker_ids.FILE_NAME, saved_apps.FILE_NAME, saved_apps.FORMER_FILE_NAME)
    ours = (paths.lock, paths.control_socket, paths.config, paths.source, paths.autoscaling, paths.log_index)
    rows = first_words(section(FILES, "Where everything is"))
    assert sorted(rows) == sorted(
        ["$FASTLB_HOME", "apps/NAME/", *of_the_home]
        + [str(path.relative_to(paths.home)) for path in (*ours, paths.alerts, paths.stopped_workers, *logs)]
    )


def test_modes_of_logs_are_those_of_the_code() -> None:
    modes = {row[1] for row in table_rows(section(FILES, "Where everything is")) if ".log" in row[0]}
    assert modes == {f"{LOG_MODE:04o}"}


def test_signals_are_named_as_the_system_names_them() -> None:
    import signal

    named = set(re.findall(r"\bSIG[A-Z0-9]+\b", FILES.read_text()))
    assert named <= {number.name for number in signal.Signals} | {"SIGSTKFLT"}
