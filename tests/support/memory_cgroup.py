"""Owns a cgroup with a memory limit, in which a test runs commands. Runs in the test process; needs root."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastlb.supervisor.processes.cgroup import V1, memory_cgroups

from .waiting import wait_until


@contextlib.contextmanager
def limited_memory(limit_bytes: int) -> Iterator[Path]:
    """Make a cgroup below our own, and remove it; the test is skipped where none can be made."""
    own = memory_cgroups()
    if not own:
        pytest.skip("no cgroup counts our memory here")
    directory = own[0].directory / f"fastlb-test-{uuid.uuid4().hex[:8]}"
    try:
        directory.mkdir()
        (directory / own[0].names.limit).write_text(str(limit_bytes))
    except OSError as error:
        with contextlib.suppress(OSError):
            directory.rmdir()
        pytest.skip(f"no cgroup can be made here: {error}")
    _forbid_swapping(directory, limit_bytes, is_v1=own[0].names is V1)
    try:
        yield directory
    finally:
        # A process that has been reaped may be in it for a moment yet.
        wait_until(lambda: not (directory / "cgroup.procs").read_text().strip(), "it is empty")
        wait_until(lambda: _is_removed(directory), "it is removed")


def inside(directory: Path, *command: str) -> list[str]:
    """Return the command line that runs `command` in the cgroup."""
    return ["/bin/sh", "-c", f'echo $$ > {directory / "cgroup.procs"} && exec "$@"', "sh", *command]


def _forbid_swapping(directory: Path, limit_bytes: int, *, is_v1: bool) -> None:
    file, value = ("memory.memsw.limit_in_bytes", limit_bytes) if is_v1 else ("memory.swap.max", 0)
    with contextlib.suppress(OSError):  # there may be no swap at all
        (directory / file).write_text(str(value))


def _is_removed(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        os.rmdir(directory)
        return True
    return False
