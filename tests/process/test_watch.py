"""`watch` of real apps: what a save does, and that no request is lost by it."""

from pathlib import Path

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.programs import start_program, write_program
from tests.support.waiting import wait_until

SAVED_AT_ONCE = 50


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with an app that answers with its version."""
    save(tmp_path, "1")
    (tmp_path / "parts").mkdir()
    return tmp_path


def save(directory: Path, version: str) -> None:
    (directory / "shop.py").write_text(
        "async def app(scope, receive, send):\n"
        "    if scope['type'] != 'http':\n"
        "        return\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        f"    await send({{'type': 'http.response.body', 'body': b'{version}'}})\n"
    )


def start(fastlb: Fastlb, directory: Path, *options: str) -> App:
    bind = ("--bind", "127.0.0.1:0", "--settle", "0.1")
    result = fastlb.cli("start", "-n", "app", *bind, *options, "shop:app", cwd=directory)
    assert result.returncode == 0, result.stderr
    app = fastlb.app()
    if "--watch" in options:
        wait_until(lambda: "watch_begun" in app.log("supervisor"), "it watches", timeout=15)
    return app


def answer(app: App) -> bytes:
    response = app.get()
    assert response.status == 200
    return response.body


def wait_for_answer(app: App, version: bytes) -> None:
    wait_until(lambda: answer(app) == version, f"version {version!r} answers", timeout=15)


def reloads(app: App, what: str = "done") -> int:
    return app.log("supervisor").count(f"reload_{what}")


def test_fifty_files_saved_at_once_are_one_reload(fastlb: Fastlb, shop: Path) -> None:
    app = start(fastlb, shop, "-w", "2", "--watch", "--watch-delay", "1500ms")
    for number in range(SAVED_AT_ONCE - 1):
        (shop / f"parts/part{number}.py").write_text("")
    save(shop, "2")
    wait_for_answer(app, b"2")
    wait_until(lambda: reloads(app) and not app.entry()["operations"], "the reload is over", timeout=15)
    assert (reloads(app, "asked"), reloads(app, "begun")) == (1, 1)
    log = app.log("supervisor")
    assert f"files_changed count={SAVED_AT_ONCE}" in log
    assert "reload_asked by=watch" in log


def test_broken_save_changes_nothing_and_is_told(fastlb: Fastlb, shop: Path) -> None:
    fastlb.allow_in_logs("Traceback")
    app = start(fastlb, shop, "--watch", "shop.py")
    (shop / "shop.py").write_text("def app(:\n")
    wait_until(lambda: reloads(app, "failed"), "the reload has failed", timeout=15)
    assert answer(app) == b"1"
    wait_until(lambda: "SyntaxError" in fastlb.ok("events", "app").stdout, "it is among the events")
    save(shop, "2")
    wait_for_answer(app, b"2")


def test_what_is_saved_while_a_reload_runs_is_loaded_after_it(fastlb: Fastlb, shop: Path) -> None:
    app = start(fastlb, shop, "--watch", "--watch-delay", "10ms", "--settle", "1s")
    save(shop, "2")
    wait_until(lambda: reloads(app, "begun"), "it is reloaded", timeout=15)
    save(shop, "3")
    wait_for_answer(app, b"3")
    wait_until(lambda: not app.entry()["operations"], "all is done", timeout=15)


def test_watch_begins_and_ends_with_the_settings(fastlb: Fastlb, shop: Path) -> None:
    app = start(fastlb, shop)
    fastlb.ok("set", "app", "watch=true", "watch_delay=10ms")
    app.ok("reload")
    wait_until(lambda: "watch_begun" in app.log("supervisor"), "it watches", timeout=15)
    save(shop, "2")
    wait_for_answer(app, b"2")


def test_program_in_fork_mode_is_started_again(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "work.sh", "echo first", "sleep 1000")
    app = start_program(fastlb, tmp_path, "--watch", "work.sh")
    wait_until(lambda: "watch_begun" in app.log("supervisor"), "it watches", timeout=15)
    write_program(tmp_path / "work.sh", "echo second", "sleep 1000")
    wait_until(lambda: "second" in app.log("out"), "the new program runs", timeout=15)


def test_path_that_is_not_there_is_told(fastlb: Fastlb, shop: Path) -> None:
    result = fastlb.cli("start", "shop:app", "--watch", "src", "-b", "127.0.0.1:0", "--settle", "0", cwd=shop)
    assert result.returncode == 0
    assert f"watch: there is no {shop}/src yet" in result.stdout + result.stderr
