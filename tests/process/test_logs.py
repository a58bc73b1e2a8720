"""What workers print arrives whole in the log files, and `fastlb logs` shows it."""

import os
import re
import signal
from collections import Counter

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until

LINES = 3000
OUT_LINE = re.compile(r"out (\d) (\d{6}) (x*)")


def test_every_line_of_every_worker_is_there_once_and_whole(fastlb: Fastlb) -> None:
    fastlb.env["PRINTER_LINES"] = str(LINES)
    app = fastlb.start("printer:app", "--workers", "2")
    wait_until(lambda: app.log("out").count("\n") >= 2 * LINES, "all lines are in the log")
    found = [OUT_LINE.search(line) for line in app.log("out").splitlines()]
    whole = [match for match in found if match and len(match[3]) == int(match[2]) % 120]
    assert Counter((match[1], match[2]) for match in whole) == {
        (str(worker), f"{number:06d}"): 1 for worker in range(2) for number in range(LINES)
    }
    wait_until(lambda: app.log("error").count("err ") == 2 * LINES, "and all of the other stream")


def test_nothing_printed_before_a_kill_is_lost(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    for number in range(50):
        app.get(f"/print?line-{number:03d}")
    os.kill(app.worker_pids[0], signal.SIGKILL)
    wait_until(lambda: app.log("out").count("line-") == 50, "all fifty lines are in the log")
    wait_until(lambda: app.log("error").count("line-") == 50, "all fifty lines are in the error log")


def test_logs_shows_the_last_lines_and_returns(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    for number in range(5):
        app.get(f"/print?line-{number}")
    wait_until(lambda: "line-4" in app.log("out") and "line-4" in app.log("error"), "the lines are in the logs")
    shown = fastlb.ok("logs", "app", "--lines", "2", "--nostream", "--out").stdout
    assert "line-4" in shown
    assert "line-3" in shown
    assert "line-2" not in shown


def test_logs_follows(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    following = fastlb.popen("logs", "app", "--follow", "--lines", "0")
    try:
        assert following.stdout is not None
        os.set_blocking(following.stdout.fileno(), False)
        seen = b""

        def is_shown() -> bool:
            nonlocal seen
            app.get("/print?followed")
            try:
                seen += os.read(following.stdout.fileno(), 65536) if following.stdout else b""
            except BlockingIOError:
                return False
            return b"followed" in seen

        wait_until(is_shown, "the line is shown")
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=scaled(5))


def test_traceback_of_a_failed_start_is_shown_once(fastlb: Fastlb) -> None:
    fastlb.allow_in_logs("Traceback")
    result = fastlb.try_start("dies_at_import:app", "--workers", "4")
    assert result.returncode == 1
    shown = result.stdout + result.stderr
    assert "RuntimeError: this app cannot be imported" in shown
    assert shown.count("Traceback (most recent call last)") == 1


def test_log_files_are_not_for_everybody(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")
    for path in (fastlb.home / "logs").iterdir():
        assert path.stat().st_mode & 0o777 == 0o640, path
