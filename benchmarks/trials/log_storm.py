"""Trial 18: lines without end through hundreds of rotations with compression, and kill -9 in the middle."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.fastlb_process import Fastlb
from tests.support.numbered_lines import printing_program, search
from tests.support.waiting import wait_until

from .finding import Finding, Scale

WORKERS = 8
LINES = 2_000_000
ROTATIONS = 200
LINE_BYTES = 52
KILLS = 10


def run(scale: Scale) -> Iterator[Finding]:
    """Print, rotate, compress; then kill."""
    yield storm(scale.of(LINES) // WORKERS, scale.of(ROTATIONS))
    yield killed_supervisors(scale.of(KILLS, least=2))


def storm(lines: int, rotations: int) -> Finding:
    """Every line is looked for."""
    with tempfile.TemporaryDirectory() as directory, Fastlb() as fastlb:
        path = Path(directory) / "storm.log"
        size = WORKERS * lines * LINE_BYTES // rotations
        program = printing_program(Path(directory), lines)
        options = ("--fork", "--no-autorestart", "--error-file", "NULL", "--max-size", str(size), "--retain", "100000")
        began = time.monotonic()
        app = fastlb.start(str(program), "--workers", str(WORKERS), "--out-file", str(path), *options, "--compress")
        finished = {"finished"}
        wait_until(lambda: {worker["status"] for worker in app.show()["workers"]} == finished, "all have printed", 300)
        seconds = time.monotonic() - began
        fastlb.ok("stop", "app")
        found = search(path)
    rate = WORKERS * lines / seconds
    return Finding(
        f"{WORKERS * lines:,} lines of {WORKERS} workers, {rotations} rotations with gzip: each once, in order",
        f"{sum(found.lines.values()):,} found in {found.files + 1} files, {found.lost} lost, "
        f"{len(found.disorder)} out of order, {rate:,.0f} lines/s with the start",
        found.lines == dict.fromkeys(range(WORKERS), lines) and not found.lost and not found.disorder,
    )


def killed_supervisors(kills: int) -> Finding:
    """What the pipe held is lost, and nothing before it."""
    cut = disorder = 0
    for _ in range(kills):
        with tempfile.TemporaryDirectory() as directory, Fastlb() as fastlb:
            fastlb.allow_left_sockets()
            path = Path(directory) / "storm.log"
            program = printing_program(Path(directory), 100_000_000)
            options = ("--fork", "--workers", "1", "--error-file", "NULL", "--max-size", "500000", "--retain", "100000")
            app = fastlb.start(str(program), "--out-file", str(path), *options, "--compress")
            (worker,) = app.worker_pids
            wait_until(lambda path=path: list(path.parent.glob("*.gz")), "files are compressed", 30)  # type: ignore[misc]
            os.kill(app.supervisor_pid, signal.SIGKILL)
            wait_until(lambda worker=worker: not Path(f"/proc/{worker}").exists(), "the worker has ended", 30)  # type: ignore[misc]
            found = search(path)
            cut += sum("in place of" not in text for text in found.disorder)
            disorder += sum("in place of" in text for text in found.disorder)
    return Finding(
        f"kill -9 of {kills} supervisors that rotate and compress: no line is missing before the last that is there",
        f"{disorder} out of order, {cut} cut at the end",
        disorder == 0 and cut <= kills,
    )
