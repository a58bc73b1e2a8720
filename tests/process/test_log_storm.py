"""Many lines of several workers through many rotations: each is found once, in order; a kill loses next to none."""

import os
import signal
from pathlib import Path

from tests.support.fastlb_process import Fastlb
from tests.support.numbered_lines import printing_program, search
from tests.support.waiting import wait_until

WORKERS = 4
LINES = 25_000
ROTATIONS = 20
LINE_BYTES = 52
ROTATING = ("--error-file", "NULL", "--retain", "100000", "--compress")


def test_every_line_of_a_storm_is_found_once_and_in_order(fastlb: Fastlb, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "storm.log"
    size = WORKERS * LINES * LINE_BYTES // ROTATIONS
    program = printing_program(tmp_path, LINES)
    options = ("--fork", "--workers", str(WORKERS), "--no-autorestart", "--max-size", str(size))
    app = fastlb.start(str(program), "--out-file", str(path), *options, *ROTATING)
    wait_until(lambda: {worker["status"] for worker in app.show()["workers"]} == {"finished"}, "all have printed", 30)
    fastlb.ok("stop", "app")
    found = search(path)
    assert found.lines == dict.fromkeys(range(WORKERS), LINES)
    assert (found.lost, found.disorder) == (0, [])
    assert found.files >= ROTATIONS - 1


def test_line_of_100_megabytes_takes_no_memory(fastlb: Fastlb, tmp_path: Path) -> None:
    path, program = tmp_path / "out.log", tmp_path / "prints.py"
    program.write_text("for _ in range(1600): print('x' * 65536, end='')\nprint('the end')")
    app = fastlb.start(str(program), "--fork", "--no-autorestart", "--out-file", str(path))
    wait_until(lambda: b"the end" in path.read_bytes()[-100:], "all of it is there", 30)
    assert path.stat().st_size > 1600 * 65536
    assert peak_bytes(app.supervisor_pid) < 100 << 20


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def test_kill_of_the_supervisor_loses_no_more_than_it_held(fastlb: Fastlb, tmp_path: Path) -> None:
    fastlb.allow_left_sockets()
    path = tmp_path / "storm.log"
    program = printing_program(tmp_path, 10_000_000)
    options = ("--fork", "--workers", "1", "--out-file", str(path), "--max-size", "200000")
    app = fastlb.start(str(program), *options, *ROTATING)
    (worker,) = app.worker_pids
    wait_until(lambda: len(list(tmp_path.glob("*.gz"))) >= 3, "it has been rotated", 20)
    os.kill(app.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the worker has met the end of its pipe", 20)
    found = search(path)
    assert (found.lost, [text for text in found.disorder if "in place of" in text]) == (0, [])
    assert len(found.disorder) <= 1, "one line may be cut"
