"""How figures are written in tables."""

import pytest
from fastlb.cli.app_table import app_table, format_memory, format_uptime, url_of
from fastlb.supervisor.control.protocol import AppEntry, WorkerEntry


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (723, "12m3s"),
        (18600, "5h10m"),
        (3600, "1h"),
        (273600, "3d4h"),
    ],
)
def test_uptime_has_two_units(seconds: float, text: str) -> None:
    assert format_uptime(seconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0K"), (870_400, "850K"), (43_306_189, "41.3M"), (1_288_490_188, "1.2G")]
)
def test_memory_has_a_unit(size_bytes: int, text: str) -> None:
    assert format_memory(size_bytes) == text


def worker(number: int, status: str) -> WorkerEntry:
    fields = {
        "uptime_s": 1.0,
        "restarts": 0,
        "connections": 2,
        "requests": 5,
        "rss_bytes": 1 << 20,
        "cpu_percent": 12.4,
    }
    return WorkerEntry(id=number, pid=number, status=status, **fields)  # type: ignore[arg-type]


def app(pid: int | None, workers: list[WorkerEntry]) -> AppEntry:
    return AppEntry(
        name="shop",
        status="online" if pid else "stopped",
        mode="cluster",
        pid=pid,
        uptime_s=61.0,
        restarts=3,
        binds=["127.0.0.1:8000", "unix:/run/shop.sock"],
        balance="round-robin",
        workers=workers,
        pm_ids=[3, 5, 6],
    )


@pytest.mark.parametrize(
    ("binds", "is_tls", "url"),
    [
        (["127.0.0.1:8000"], False, "http://127.0.0.1:8000"),
        (["*:3000"], False, "http://127.0.0.1:3000"),
        (["0.0.0.0:443"], True, "https://127.0.0.1:443"),
        (["unix:/run/x.sock", "[::]:80"], False, "http://localhost:80"),
        (["[::1]:80"], False, "http://[::1]:80"),
        (["unix:/run/x:80"], False, ""),
        ([], False, ""),
    ],
)
def test_address_has_an_url(binds: list[str], is_tls: bool, url: str) -> None:
    assert url_of(binds, is_tls=is_tls) == url


def test_row_of_an_app_has_the_sums_of_its_workers() -> None:
    (row,) = app_table([app(42, [worker(0, "online"), worker(1, "starting")])]).rows
    assert " ".join(row).split() == [
        *("3,5-6", "shop", "online", "cluster", "1/2", "42", "1m1s", "3", "4", "10", "25%", "2.0M"),
        *("127.0.0.1:8000", "unix:/run/shop.sock"),
    ]


def test_row_of_a_stopped_app_has_no_figures() -> None:
    (row,) = app_table([app(None, [])]).rows
    assert row[:6] == ["3,5-6", "shop", "stopped", "cluster", "-", "-"]
