"""Trials 19 and 20: a disk of logs that is full for a while, or hangs, under traffic. They need root, to mount."""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan, Report
from tests.support.load_process import LoadProcess
from tests.support.waiting import wait_until

from .finding import Finding, Scale

FULL_SECONDS = 5
HUNG_SECONDS = 20
SMALL_DISK = "size=64m"
LOST = re.compile(rb"\[fastlb\] (\d+) lines were lost here")
# The lines of this app, 4 KB each, fill a queue of 8 MB within seconds.
APP = """
LINE = "x" * 4000

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    print(LINE)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""

Ailment = Callable[[Path], AbstractContextManager[None]]


def full(scale: Scale) -> Iterator[Finding]:
    """A disk without room for a while."""
    yield from ailing("a disk that is full", scale.of(FULL_SECONDS, least=2), full_disk, "tmpfs")


def hung(scale: Scale) -> Iterator[Finding]:
    """A disk that takes nothing for a while."""
    yield from ailing("a disk that hangs", scale.of(HUNG_SECONDS, least=4), frozen_disk, "ext4")


def ailing(what: str, seconds: int, ailment: Ailment, kind: str) -> Iterator[Finding]:
    """Serve while the disk ails, and count what is missing."""
    if os.geteuid() != 0:
        yield Finding(f"{what} for {seconds} s", "not tried: it needs root", True)
        return
    with mounted(kind) as disk, Fastlb() as fastlb:
        (disk / "prints.py").write_text(APP)
        path = disk / "out.log"
        options = ("--workers", "2", "--app-dir", str(disk), "--out-file", str(path))
        app = fastlb.start("prints:app", *options)
        calm = load_while(app, lambda: time.sleep(2))
        with_ailment = load_while(app, lambda: suffer(ailment, disk, seconds))
        wait_until(lambda: app.show()["logs"]["waiting_bytes"] == 0, "everything is written", 60)
        written, lost = look(path)
        shown = sum(app.show()["logs"]["lost_lines"].values())
    asked = calm.requests + with_ailment.requests
    longest = f"{calm.max_ms:.0f} -> {with_ailment.max_ms:.0f} ms"
    yield Finding(f"{what} for {seconds} s: no request fails", with_ailment.summary(), with_ailment.failed == 0)
    yield Finding(
        "... latency is what it was",
        f"p50 {calm.p50_ms:.2f} -> {with_ailment.p50_ms:.2f} ms, "
        f"p99 {calm.p99_ms:.2f} -> {with_ailment.p99_ms:.2f} ms, longest {longest}",
        with_ailment.p99_ms < 2 * calm.p99_ms + 5,
    )
    yield Finding(
        "... and each line is in the file or counted, there and in `show`",
        f"{asked} printed, {written} written, {lost} counted in the file, {shown} in `show`",
        written + lost == asked and lost == shown > 0,
    )


def load_while(app: App, deed: Callable[[], object]) -> Report:
    """Load the app while something is done."""
    with LoadProcess(Plan(address=app.address, clients=4, keep_alive=True)) as load:
        load.wait_for(100)
        deed()
        load.wait_for(100)
    return load.report


def suffer(ailment: Ailment, disk: Path, seconds: int) -> None:
    """Let the disk be ill for so long."""
    with ailment(disk):
        time.sleep(seconds)


def look(path: Path) -> tuple[int, int]:
    """Return how many whole lines are in a file, and how many its marks say are missing."""
    written = lost = 0
    for line in path.read_bytes().splitlines():
        mark = LOST.match(line)
        lost += int(mark[1]) if mark else 0
        written += len(line) == 4000
    return written, lost


@contextmanager
def full_disk(disk: Path) -> Iterator[None]:
    """Fill what is left of a disk."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def frozen_disk(disk: Path) -> Iterator[None]:
    """Let every write hang."""
    subprocess.run(["fsfreeze", "--freeze", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(disk)], check=True)


@contextmanager
def mounted(kind: str) -> Iterator[Path]:
    """A disk of its own: in memory, or a file with a real file system."""
    with tempfile.TemporaryDirectory() as directory:
        place, image = Path(directory) / "disk", Path(directory) / "image"
        place.mkdir()
        if kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", SMALL_DISK, "none", str(place)]
        else:
            subprocess.run(["truncate", "--size", "1G", str(image)], check=True)
            subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
            command = ["mount", "-o", "loop", str(image), str(place)]
        subprocess.run(command, check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
