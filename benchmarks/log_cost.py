"""What a line costs whoever collects it: fastlb, PM2, journald behind systemd-cat. `python -m benchmarks.log_cost`

A program prints lines of 80 bytes, one write each, as fast as it can; measured is the CPU of the collecting process
alone, from /proc/PID/schedstat. PM2 is installed from npm when it can be; journald is measured where one runs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import msgspec

from benchmarks.compare.node_servers import has_pm2, run_pm2
from benchmarks.machine import describe_machine
from tests.support import processes
from tests.support.fastlb_process import Fastlb
from tests.support.waiting import wait_until

LINES = 500_000
SLOW_LINES = 5_000
SLOW_PAUSE = 0.001
RESULTS = Path(__file__).parent / "results"
BUDGET_US = 1.5
PROGRAM = """
import os, time
while not os.path.exists({go!r}):
    time.sleep(0.05)
for number in range({lines}):
    os.write(1, b"%08d " % number + b"x" * 70 + b"\\n")
    {pause}
time.sleep(600)
"""
LINE_BYTES = 80
GO = "go"  # a file: the program waits for it
FASTLB_MODES: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "with a time": ("--time",),
    "JSON": ("--log-type", "json"),
    "JSON, tracebacks together": ("--log-type", "json", "--log-multiline"),
    "rotated at 10M, gzip": ("--max-size", "10M", "--compress"),
}
PM2_MODES: dict[str, tuple[str, ...]] = {"as it is": (), "with a time": ("--time",), "JSON": ("--log-type", "json")}


class Row(msgspec.Struct, frozen=True):
    """What was measured: `cpu_us` a line, and lines a second that a whole CPU of that could do."""

    collector: str
    mode: str
    cpu_us: float

    @property
    def per_second(self) -> float:
        """Lines that one CPU collects in a second."""
        return 1e6 / self.cpu_us


def cost(pid: int, source: str, lines: int, are_there: Callable[[], bool]) -> float:
    """Let the program print; return the CPU in microseconds a line that a process takes until all lines are there."""
    before = processes.cpu_nanoseconds(pid)
    Path(source).with_name(GO).touch()
    wait_until(are_there, "all lines are collected", 120)
    return (processes.cpu_nanoseconds(pid) - before) / 1000 / lines


def program(directory: Path, lines: int, pause: str = "") -> str:
    """Write the program that prints; return its path."""
    path = directory / "prints.py"
    path.write_text(PROGRAM.format(lines=lines, pause=pause, go=str(directory / GO)))
    return str(path)


def has_last(path: Path, lines: int) -> Callable[[], bool]:
    """Return what says whether a file ends with the last line."""
    last = b"%08d" % (lines - 1)

    def look() -> bool:
        if not path.exists():
            return False
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 4096, 0))
            return last in file.read()

    return look


def fastlb_row(mode: str, *options: str, workers: int = 1, slowly: bool = False) -> Row:
    """Measure our supervisor."""
    lines = SLOW_LINES if slowly else LINES
    with tempfile.TemporaryDirectory() as directory, Fastlb() as fastlb:
        path = Path(directory) / "out.log"
        source = program(Path(directory), lines, f"time.sleep({SLOW_PAUSE})" if slowly else "")
        common = ("--fork", "--workers", str(workers), "--out-file", str(path), "--no-wait")
        app = fastlb.start(source, *common, *options)
        us = cost(app.supervisor_pid, source, lines * workers, has_last(path, lines))
    return Row("fastlb", mode, us)


def pm2_row(mode: str, *options: str) -> Row:
    """Measure PM2's daemon."""
    home = Path(tempfile.mkdtemp(prefix="fastlb-pm2-"))
    env = {**os.environ, "PM2_HOME": str(home)}
    path = home / "out.log"
    try:
        source = program(home, LINES)
        run_pm2(env, "ping")
        daemon = int((home / "pm2.pid").read_text())
        run_pm2(env, "start", source, "--interpreter", sys.executable, "--output", str(path), *options)
        return Row("PM2", mode, cost(daemon, source, LINES, has_last(path, LINES)))
    finally:
        run_pm2(env, "kill")
        shutil.rmtree(home)


def journald_pid() -> int:
    """Return the process of this machine's journald; 0: there is none."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (entry / "comm").read_text().strip() == "systemd-journal":
            return int(entry.name)
    return 0


def journald_row(journald: int) -> Row:
    """Measure journald behind systemd-cat, by what it answers."""
    lines = LINES // 10
    with tempfile.TemporaryDirectory() as directory:
        source = program(Path(directory), lines)
        command = ["systemd-cat", f"--identifier={directory}", sys.executable, source]
        with subprocess.Popen(command) as printing:
            try:
                us = cost(journald, source, lines, journal_has(directory, lines))
                return Row("systemd-cat, journald", "as it is", us)
            finally:
                printing.kill()


def to_journald_row() -> Row:
    """Measure our supervisor when it passes lines on to journald."""
    lines = LINES // 10
    name = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory() as directory, Fastlb() as fastlb:
        source = program(Path(directory), lines)
        app = fastlb.start(source, "--fork", "--log-target", "journald", "--no-wait", name=name)
        return Row("fastlb", "to journald", cost(app.supervisor_pid, source, lines, journal_has(name, lines)))


def journal_has(identifier: str, lines: int) -> Callable[[], bool]:
    """Return what says whether the journal has the last line."""

    def look() -> bool:
        time.sleep(0.2)  # each look is a process
        command = ["journalctl", f"--identifier={identifier}", "--lines=1", "--output=cat", "--no-pager"]
        return b"%08d" % (lines - 1) in subprocess.run(command, capture_output=True, check=False).stdout

    return look


def rows() -> Iterator[Row]:
    """Measure everything that can be had here."""
    for mode, options in FASTLB_MODES.items():
        yield fastlb_row(mode, *options)
    yield fastlb_row("8 workers, 1,000 lines/s each", workers=8, slowly=True)
    for mode, options in PM2_MODES.items() if has_pm2() else ():
        yield pm2_row(mode, *options)
    if shutil.which("systemd-cat") and (journald := journald_pid()):
        yield to_journald_row()
        yield journald_row(journald)


def render(found: list[Row], command: str) -> str:
    """Return the table as Markdown."""
    kept = all(row.cpu_us <= BUDGET_US for row in found if (row.collector, row.mode) == ("fastlb", "as it is"))
    lines = [
        "# What a line costs",
        "",
        *describe_machine(command),
        "",
        f"Lines of {LINE_BYTES} bytes, one write each; CPU of the collecting process. Budget: {BUDGET_US} us as it is:"
        f" {'kept' if kept else '**missed**'}.",
        "",
        "| collector | lines | CPU us a line | lines/s of one CPU |",
        "|---|---|---|---|",
    ]
    lines += [f"| {row.collector} | {row.mode} | {row.cpu_us:.2f} | {row.per_second:,.0f} |" for row in found]
    return "\n".join([*lines, ""])


def draw(found: list[Row]) -> str:
    """Return the picture: a bar for each row, as long as its CPU."""
    longest = max(row.cpu_us for row in found)
    title = "CPU of the collecting process, microseconds a line (less is better)"
    parts = [f'<text x="10" y="20" font-weight="bold">{title}</text>']
    for number, row in enumerate(found):
        y = 46 + 22 * number
        length = 380 * row.cpu_us / longest
        colour = "#2f6f4f" if row.collector == "fastlb" else "#b0b0b0"
        parts += [
            f'<text x="10" y="{y}">{escape(f"{row.collector}, {row.mode}")}</text>',
            f'<rect x="270" y="{y - 12}" width="{length:.0f}" height="16" fill="{colour}"/>',
            f'<text x="{278 + length:.0f}" y="{y}">{row.cpu_us:.2f}</text>',
        ]
    height = 56 + 22 * len(found)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" font-family="sans-serif"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f'{opening} font-size="12">', background, *parts, "</svg>", ""])


def main() -> None:
    """Measure, print, write."""
    found = []
    for row in rows():
        print(f"{row.collector}, {row.mode}: {row.cpu_us:.2f} us a line", flush=True)
        found.append(row)
    (RESULTS / "log_cost.md").write_text(render(found, "python -m benchmarks.log_cost"))
    (RESULTS / "log_cost.svg").write_text(draw(found))


if __name__ == "__main__":
    main()
