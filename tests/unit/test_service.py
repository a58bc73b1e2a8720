"""What is said to a service manager, and whose word of one is believed."""

import pytest
from fastlb.supervisor.control.protocol import AppEntry, OperationEntry
from fastlb.supervisor.service.manager import take_service_manager
from fastlb.supervisor.service.words import LONGEST_STATUS, Phase, Said, message, said_of

PID = 42
READY = Said(Phase.READY, "fine")


def entry(*operations: OperationEntry) -> AppEntry:
    return AppEntry(
        name="app",
        status="online",
        pid=PID,
        uptime_s=1.0,
        restarts=0,
        binds=["127.0.0.1:8000"],
        balance="round-robin",
        workers=[],
        target_workers=2,
        operations=list(operations),
    )


@pytest.mark.parametrize(
    ("now", "before", "is_alive", "expected"),
    [
        (READY, Said(), False, b"READY=1\nMAINPID=42\nSTATUS=fine"),
        (READY, READY, False, b""),
        (READY, READY, True, b"WATCHDOG=1"),
        (Said(Phase.READY, "other"), READY, True, b"STATUS=other\nWATCHDOG=1"),
        (Said(Phase.RELOADING, "fine"), READY, False, b"RELOADING=1\nMONOTONIC_USEC=7"),
        (READY, Said(Phase.RELOADING, "fine"), False, b"READY=1\nMAINPID=42"),
        (Said(Phase.STOPPING, "fine"), READY, False, b"STOPPING=1"),
    ],
)
def test_only_what_has_changed_is_said(now: Said, before: Said, is_alive: bool, expected: bytes) -> None:
    assert message(now, before, PID, 7, is_alive=is_alive) == expected


@pytest.mark.parametrize(
    ("operation", "state", "phase", "expected"),
    [
        ("reload", "runs", Phase.READY, Phase.RELOADING),
        ("restart", "runs", Phase.READY, Phase.RELOADING),
        ("scale", "runs", Phase.READY, Phase.READY),
        ("reload", "waits", Phase.READY, Phase.READY),
        ("reload", "runs", Phase.STOPPING, Phase.STOPPING),
    ],
)
def test_replacing_workers_is_reloading(operation: str, state: str, phase: Phase, expected: Phase) -> None:
    work = OperationEntry(operation, "person", state)  # type: ignore[arg-type]
    assert said_of(entry(work), phase).phase is expected


def test_a_status_is_one_short_line() -> None:
    said = said_of(entry(), Phase.READY, "reload: first\nsecond" + "x" * 1000)
    assert said.status.startswith("online: 0 of 2 workers online, on 127.0.0.1:8000; reload: first\\nsecond")
    lines = message(said, Said(), PID, 7).decode().split("\n")
    assert len(lines[-1]) == len("STATUS=") + LONGEST_STATUS


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": "/run/notify"}, 0.0),
        ({"NOTIFY_SOCKET": "@abstract", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "42"}, 3.0),
        ({"NOTIFY_SOCKET": "@abstract", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "43"}, 0.0),
        ({"NOTIFY_SOCKET": "@abstract", "WATCHDOG_USEC": "-3"}, 0.0),
        ({"NOTIFY_SOCKET": "vsock:2:9"}, None),
        ({"NOTIFY_SOCKET": "relative"}, None),
        ({"NOTIFY_SOCKET": "/" + "x" * 107}, None),
    ],
)
def test_what_a_manager_has_said_is_taken_and_gone(environ: dict[str, str], expected: float | None) -> None:
    manager = take_service_manager(environ, PID)
    assert (manager.watchdog_seconds if manager else None) == expected
    assert environ == {}
    if manager:
        manager.close()


def test_a_manager_that_is_not_there_is_no_error() -> None:
    manager = take_service_manager({"NOTIFY_SOCKET": "/nowhere/at/all"}, PID)
    assert manager
    assert not manager.send(b"READY=1")
    manager.close()
