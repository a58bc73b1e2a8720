"""`fastlb run --reload`: the newest code answers, clients wait for it, broken code is told and waited out."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastlb.cli.reload_options import ReloadOptions
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.client import Response, get
from tests.support.fastlb_process import Fastlb
from tests.support.ports import free_port
from tests.support.waiting import scaled, wait_until

PYTHON = """
import pathlib
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"VERSION"})
"""
NODE = 'require("http").createServer((_, response) => response.end("VERSION")).listen(PORT)'
BROKEN = "this is no code ("


class Written:
    """An app that is written while it runs."""

    def __init__(self, path: Path, code: str, port: int) -> None:
        self.path, self.code, self.port = path, code, port

    def save(self, version: str) -> None:
        self.path.write_text(self.code.replace("VERSION", version).replace("PORT", str(self.port)))

    def get(self) -> Response:
        return get(("127.0.0.1", self.port), timeout=30)

    def wait_for(self, version: str) -> None:
        """Ask until the new code answers; each request must be answered."""
        wait_until(lambda: self.get().body == version.encode(), f"{version!r} answers", timeout=20)


@contextmanager
def running(fastlb: Fastlb, directory: Path, *args: str) -> Iterator[Path]:
    """Run an app; yield the file with all that it writes."""
    shown = directory / "shown.txt"
    with shown.open("w") as file:
        process = fastlb.popen("run", *args, "-n", "app", cwd=directory, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield shown
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(scaled(20))
    assert process.returncode == 0, shown.read_text()


@pytest.mark.parametrize(("name", "code"), [("shop.py", PYTHON), ("shop.js", NODE)])
def test_newest_code_answers_and_clients_wait_for_it(fastlb: Fastlb, tmp_path: Path, name: str, code: str) -> None:
    app = Written(tmp_path / name, code, free_port())
    app.save("first")
    target = "shop:app" if name.endswith(".py") else name
    with running(fastlb, tmp_path, "--reload", target, "-b", f"127.0.0.1:{app.port}") as shown:
        wait_until(lambda: "listens on" in shown.read_text(), "it has started", timeout=20)
        assert app.get().body == b"first"
        app.save("second")
        app.wait_for("second")
        app.path.write_text(BROKEN)
        wait_until(lambda: "clients wait for a change" in shown.read_text(), "the code is broken", timeout=20)
        assert "SyntaxError" in shown.read_text()
        answers: list[bytes] = []
        client = threading.Thread(target=lambda: answers.append(app.get().body))
        client.start()
        app.save("third")
        client.join(scaled(30))
        assert answers == [b"third"]


def test_code_that_is_broken_at_first_is_waited_out(fastlb: Fastlb, tmp_path: Path) -> None:
    app = Written(tmp_path / "shop.py", PYTHON, free_port())
    app.path.write_text(BROKEN)
    arguments = ("--reload", "-w", "3", "shop:app", "-b", f"127.0.0.1:{app.port}")
    with running(fastlb, tmp_path, *arguments) as shown:
        wait_until(lambda: "waits_for_change" in shown.read_text(), "it waits", timeout=20)
        assert "SyntaxError" in shown.read_text()
        assert "--reload runs one worker" in shown.read_text()
        (tmp_path / "page.html").write_text("no code")
        app.save("first")
        app.wait_for("first")
        assert "page.html" not in shown.read_text()


def test_what_is_no_code_is_watched_when_it_is_named() -> None:
    given = AppConfig(target="shop:app", name="shop", workers=4, cwd="/srv/shop", app_dir="../lib", settle=3.0)
    options = ReloadOptions(True, included=("*.html", ".env"), excluded=("migrations",))
    config, remark = options.settings(given)
    assert (config.workers, config.watch) == (1, ("true", "/srv/lib"))
    assert config.watch_include == ("*.py", "*.html", ".env")
    assert config.ignore_watch == ("default", "migrations")
    assert (config.settle, config.kill_timeout) == (3.0, 1.0)
    assert "4 were asked for" in remark
    assert ReloadOptions(False).settings(given) == (given, "")
    only, _ = ReloadOptions(True, directories=("src",)).settings(AppConfig(target="x.sh", name="x", exec_mode="fork"))
    assert (only.watch, only.watch_include) == (("src",), ())


def test_patterns_are_checked() -> None:
    with pytest.raises(UsageError, match="is no pattern"):
        ReloadOptions(True, excluded=("/",)).settings(AppConfig(target="shop:app", name="shop"))


def test_options_without_reload_are_refused(fastlb: Fastlb) -> None:
    result = fastlb.cli("run", "--reload-dir", "src", "shop:app")
    assert result.returncode == 2
    assert "are for --reload" in result.stderr
