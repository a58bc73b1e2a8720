"""Where the output of real workers goes and what it looks like, as the settings say."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import wait_until

APPS = Path(__file__).parents[1] / "support" / "apps"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: "


def say(app: App, *words: str) -> None:
    """Have a worker print words, one after the other, each to both streams."""
    for word in words:
        app.get(f"/print?{word}")


def wait_for_text(path: Path, text: str) -> str:
    """Wait until a file contains a text; return all that it contains."""
    found = ""

    def is_there() -> bool:
        nonlocal found
        with contextlib.suppress(FileNotFoundError):  # it may have been rotated away, and not be there again yet
            found = path.read_text()
        return text in found

    wait_until(is_there, f"{text!r} is in {path.name}")
    return found


def test_files_are_where_the_settings_say(fastlb: Fastlb, tmp_path: Path) -> None:
    options = ("--out-file", "logs/${name}.out", "--error-file", "NULL", "--log-file", str(tmp_path / "both.log"))
    app = fastlb.start("asgi_probe:app", "--cwd", str(tmp_path), "--app-dir", str(APPS), "--workers", "1", *options)
    say(app, "apple")
    assert wait_for_text(tmp_path / "logs" / "app.out", "apple") == "apple\n"
    assert "apple\napple\n" in wait_for_text(tmp_path / "both.log", "apple\napple")
    files = app.show()["files"]
    assert files["out_log"] == str(tmp_path / "logs" / "app.out")
    assert files["combined_log"] == str(tmp_path / "both.log")
    assert "error_log" not in files
    assert fastlb.ok("logs", "app", "--out", "--raw").stdout == "apple\n"
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o750
    fastlb.ok("stop", "app")
    assert fastlb.ok("logs", "app", "--out", "--raw").stdout == "apple\n"


def test_each_worker_has_a_file_of_its_own(fastlb: Fastlb, tmp_path: Path) -> None:
    options = ("--no-merge-logs", "--out-file", str(tmp_path / "app.log"), "--balance", "round-robin")
    app = fastlb.start("asgi_probe:app", "--workers", "2", *options)
    files = [tmp_path / f"app-{worker}.log" for worker in range(2)]

    def both_have_printed() -> bool:
        say(app, "apple")
        return all(path.read_text() for path in files if path.exists()) and all(path.exists() for path in files)

    wait_until(both_have_printed, "both workers have printed")
    wait_until(lambda: sum(path.read_text().count("apple\n") for path in files) >= 2, "whole lines")
    assert set(fastlb.ok("logs", "app", "--out", "--raw", "--nostream").stdout.split()) == {"apple"}


def test_file_of_a_process_is_named_by_its_pid(fastlb: Fastlb, tmp_path: Path) -> None:
    app = fastlb.start(
        "asgi_probe:app", "--workers", "1", "--out-file", str(tmp_path / "${instance}-${pid}-${date}.log")
    )
    (pid,) = app.worker_pids
    say(app, "apple")
    wait_until(lambda: [path.read_text() for path in tmp_path.glob(f"0-{pid}-20*.log")] == ["apple\n"], "it is written")


def test_time_in_front_of_each_line(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--time")
    say(app, "apple")
    wait_until(lambda: "apple" in app.log("out"), "it is in the file")
    assert re.fullmatch(f"{TIME}apple\n", app.log("out"))


def test_lines_as_json(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--log-type", "json", "--log-date-format", "YYYY")
    (pid,) = app.worker_pids
    say(app, "apple")
    wait_until(lambda: "apple" in app.log("out"), "it is in the file")
    record = json.loads(app.log("out"))
    assert record.pop("timestamp").startswith("20")
    assert record == {"app": "app", "worker": 0, "pid": pid, "stream": "out", "message": "apple"}


def test_files_can_be_left_out(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1", "--disable-logs")
    say(app, "apple")
    app.ok("reload")
    assert {path.name for path in (fastlb.home / "logs").iterdir()} == {"app-supervisor.log", "app-events.jsonl"}


def test_logs_shows_what_was_rotated_away(fastlb: Fastlb, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    options = ("--out-file", str(path), "--max-size", "50", "--compress")
    app = fastlb.start("asgi_probe:app", "--workers", "1", *options)
    words = [f"word-{number:02}-of-many" for number in range(12)]
    for word in words:
        say(app, word)
        wait_for_text(path, word)
    wait_until(lambda: len(list(tmp_path.glob("*.gz"))) == 3, "what is full is compressed")
    assert fastlb.ok("logs", "app", "--out", "--raw", "--lines", "100").stdout.split() == words
    assert fastlb.ok("logs", "app", "--out", "--raw", "--lines", "5").stdout.split() == words[-5:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out-file", "${host}.log"), "--out-file: there is no ${host}"),
        (("--log-date-format", "[never]"), "--log-date-format: '[never]' shows no time"),
        (("--rotate-interval", "dayly"), "did you mean daily?"),
    ],
)
def test_what_means_nothing_is_refused(fastlb: Fastlb, options: tuple[str, str], message: str) -> None:
    result = fastlb.try_start("asgi_probe:app", *options)
    assert result.returncode == 2
    assert message in result.stderr


def test_file_that_cannot_be_written_fails_the_start(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = fastlb.try_start("asgi_probe:app", "--out-file", str(tmp_path / "file" / "out.log"))
    assert result.returncode == 1
    assert f"cannot write {tmp_path}/file/out.log" in result.stderr
