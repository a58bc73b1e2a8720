"""The command line with real apps behind it: what it shows, what it keeps, and what ^C leaves."""

import re
import signal
from pathlib import Path

from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.client import get
from tests.support.fastlb_process import APPS, Fastlb, describe
from tests.support.terminal import Terminal
from tests.support.waiting import scaled, wait_until

from .conftest import remember


def test_start_says_where_it_listens_what_runs_and_what_comes_next(fastlb: Fastlb) -> None:
    result = fastlb.try_start("asgi_probe:app", "-w", "2", name="shop")
    where, titles, row, following = result.stdout.splitlines()
    port = fastlb.app("shop").port
    assert where == f"shop listens on 127.0.0.1:{port}"
    assert titles.split()[:2] == ["id", "name"]
    assert row.split()[:5] == ["0-1", "shop", "online", "cluster", "2/2"]
    assert following.startswith(f"next: http://127.0.0.1:{port} | fastlb list")
    assert "2 of 2 workers ready" in result.stderr


def test_start_of_a_stopped_name_keeps_what_is_not_given(fastlb: Fastlb, tmp_path: Path) -> None:
    fastlb.start("asgi_probe:app", "-w", "2", "--balance", "ip-hash", name="shop").ok("stop")
    elsewhere = fastlb.cli("start", "shop", "--workers", "1", cwd=tmp_path)
    assert elsewhere.returncode == 0, describe(elsewhere)
    settings = fastlb.app("shop").show()["settings"]
    assert (settings["workers"], settings["balance"], settings["cwd"]) == (1, "ip-hash", str(APPS))
    assert fastlb.app("shop").get().status == 200


def test_start_right_after_stop_works(fastlb: Fastlb) -> None:
    app = fastlb.start(name="shop")
    for _ in range(3):
        app.ok("stop")
        app.ok("start")


def test_default_name_comes_from_the_target(fastlb: Fastlb) -> None:
    fastlb.ok("start", "asgi_probe:app", "--bind", "127.0.0.1:0")
    assert [entry["name"] for entry in fastlb.list_json()] == ["asgi_probe"]


def test_wrong_target_is_one_sentence(fastlb: Fastlb) -> None:
    result = fastlb.try_start("asgi_prob:app")
    assert result.returncode == 2
    assert result.stderr.count("asgi_probe") == 1
    assert "error: no module named" in result.stderr.splitlines()[-1]


def test_interrupted_start_leaves_nothing(fastlb: Fastlb) -> None:
    starting = fastlb.popen("start", "never_ready:app", "--name", "shop", "--bind", "127.0.0.1:0")
    wait_until(lambda: (fastlb.home / "apps" / "shop" / "control.sock").exists(), "the supervisor is there")
    starting.send_signal(signal.SIGINT)
    _, complaints = starting.communicate(timeout=scaled(10))
    assert starting.returncode == 130, complaints
    assert "Traceback" not in complaints
    wait_until(lambda: not fastlb.pids, "nothing of it runs")
    assert fastlb.list_json() == []


def test_other_app_with_the_same_default_name_is_not_overwritten(fastlb: Fastlb, tmp_path: Path) -> None:
    settings = AppConfig(target="asgi_probe:app", name="asgi_probe", cwd=str(tmp_path), bind=("127.0.0.1:0",))
    paths = remember(fastlb, settings)
    before = paths.config.read_bytes()
    result = fastlb.cli("start", "asgi_probe:app", "--bind", "127.0.0.1:0")
    assert result.returncode == 1
    expected = f"asgi_probe is the name of another app, asgi_probe:app in {tmp_path}: give this one a --name"
    assert expected in result.stderr
    assert paths.config.read_bytes() == before
    fastlb.ok("start", "asgi_probe:app", "--bind", "127.0.0.1:0", "--name", "mine")
    fastlb.ok("start", "asgi_probe:app", "--bind", "127.0.0.1:0", "--name", "asgi_probe")


def test_app_of_the_same_folder_may_be_started_anew_by_its_target(fastlb: Fastlb) -> None:
    for options in ((), ("--threads", "2")):
        fastlb.ok("start", "wsgi_probe:app", "--bind", "127.0.0.1:0", *options)
        fastlb.ok("stop", "wsgi_probe")
    assert fastlb.app("wsgi_probe").show()["settings"]["threads"] == 2


def test_exit_code_tells_a_stopped_app_from_a_running_one(fastlb: Fastlb) -> None:
    fastlb.start(name="shop")
    running = fastlb.cli("show", "shop", "--quiet")
    fastlb.ok("stop", "shop")
    stopped, unknown = fastlb.cli("show", "shop", "-q"), fastlb.cli("show", "none", "-q")
    assert [result.returncode for result in (running, stopped, unknown)] == [0, 3, 1]
    assert [result.stdout + result.stderr for result in (running, stopped)] == ["", ""]


def test_each_report_names_its_app(fastlb: Fastlb) -> None:
    for name in ("blog", "shop"):
        fastlb.start(name=name)
    assert fastlb.ok("restart", "all").stdout == "blog: restarted 1 worker\nshop: restarted 1 worker\n"
    assert fastlb.ok("stop", "shop", "blog").stdout == "shop: stopped\nblog: stopped\n"
    assert fastlb.ok("restart", "shop").stdout.startswith("shop: listens on 127.0.0.1:")


def test_one_failure_does_not_keep_the_others_from_it(fastlb: Fastlb) -> None:
    for name in ("blog", "shop"):
        fastlb.start(name=name)
    fastlb.ok("stop", "blog")
    result = fastlb.cli("reload", "all")
    assert result.returncode == 1
    assert "error: blog is stopped" in result.stderr
    assert result.stdout == "shop: reloaded 1 worker\n"


def test_show_has_sections_for_workers_settings_and_files(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app", "--env", "TOKEN=canary-7", name="shop")
    shown = fastlb.ok("describe", "shop").stdout
    assert {"workers", "settings", "dispatcher", "files"} <= set(shown.splitlines())
    assert re.search(r"^kill_timeout +30s$", shown, re.MULTILINE)
    assert re.search(r"^env +TOKEN=\*\*\*$", shown, re.MULTILINE)


def test_followed_lines_come_once_and_in_order(fastlb: Fastlb) -> None:
    app = fastlb.start(name="shop")
    address = app.address
    for number in range(20):
        get(address, f"/print?line-{number:03d}")
    following = fastlb.popen("logs", "shop", "--out", "--raw", "--follow", "--lines", "1000")
    assert following.stdout is not None
    seen: list[str] = []
    sent = 20
    while "line-039" not in seen:
        if sent < 40:
            get(address, f"/print?line-{sent:03d}")
            sent += 1
        seen.append(following.stdout.readline().strip())
    app.ok("stop")
    following.communicate(timeout=scaled(10))
    assert following.returncode == 0
    assert [line for line in seen if line.startswith("line-")] == [f"line-{number:03d}" for number in range(40)]


def test_several_apps_are_followed_as_one_stream_in_order_of_time(fastlb: Fastlb) -> None:
    apps = [fastlb.start(name=name) for name in ("blog", "shop")]
    addresses = [app.address for app in apps]
    # Times are known to 10 ms: what is written in turn, and faster than that, may be told in another order.
    for number in range(20):
        app = apps[0 if number >= 10 else 1]
        app.get(f"/print?line-{number:03d}")
        wait_until(lambda: f"line-{number:03d}" in app.log("out"), "it is written")  # noqa: B023
    following = fastlb.popen("logs", "--out", "--raw", "--follow", "--lines", "1000")
    assert following.stdout is not None
    seen = [following.stdout.readline().strip() for _ in range(20)]
    assert seen == [f"line-{number:03d}" for number in range(20)]
    for number in range(20, 30):
        get(addresses[number % 2], f"/print?line-{number:03d}")
    live = [following.stdout.readline().strip() for _ in range(20, 30)]
    assert sorted(live) == [f"line-{number:03d}" for number in range(20, 30)]
    for app in apps:
        app.ok("stop")
    following.communicate(timeout=scaled(20))
    assert following.returncode == 0


def test_on_a_terminal_logs_follow_and_cannot_steer_it(fastlb: Fastlb) -> None:
    app = fastlb.start(name="shop")
    with (fastlb.home / "logs" / "shop-out.log").open("a") as log:
        log.write("\x1b]0;title\x07before\n")
    with Terminal(fastlb, "logs", "shop") as terminal:
        terminal.wait_for("before")
        app.get("/print?after")
        terminal.wait_for("shop out | ")
        terminal.wait_for("after")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(scaled(5)) == 130
    assert "\x1b]" not in terminal.shown


def test_list_on_a_terminal_has_colours_unless_refused(fastlb: Fastlb) -> None:
    fastlb.start(name="shop")
    fastlb.env["NO_COLOR"] = ""
    with Terminal(fastlb, "list") as terminal:
        terminal.wait_for("online")
        terminal.process.wait(scaled(5))
    assert "\x1b[32m" in terminal.shown
    with Terminal(fastlb, "list", "--no-color") as terminal:
        terminal.wait_for("online")
        terminal.process.wait(scaled(5))
    assert "\x1b" not in terminal.shown
