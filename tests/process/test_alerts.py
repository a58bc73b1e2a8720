"""Alerts of real apps, from what provokes them to their end: seen in `list`, `show` and events."""

import contextlib
import json
import os
import signal
from pathlib import Path

from tests.support.alert_servers import http_server, smtp_server
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.ports import free_port
from tests.support.waiting import scaled, wait_until

# What the machine of the tests uses is no matter of theirs.
ALONE = ("--alert-memory", "0", "--alert-disk", "0", "--alert-cpu", "0")
SECRET = "s3cret-of-a-hook"
QUICK = ("--alerts", "--alert-interval", "0.2s", "--alert-for", "1s", "--alert-restarts-window", "30s", *ALONE)
WAIT = 30.0
WHAT_SHOWS = (
    *(("list", "--json"), ("show", "app"), ("show", "app", "--json"), ("jlist",), ("report",)),
    *(("config", "show", "app"), ("config", "show", "app", "--json"), ("alerts", "--json"), ("events", "app")),
)


def alerts(app: App) -> dict[str, str]:
    return {alert["name"]: alert["text"] for alert in app.entry()["alerts"]}


def told_events(fastlb: Fastlb) -> list[tuple[str, str]]:
    lines = fastlb.ok("events", "app", "--lines", "1000", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    return [(event["event"], event["alert"]) for event in events if event["event"] in ("alert_begun", "alert_ended")]


def begun_and_ended(fastlb: Fastlb, name: str) -> None:
    """Look at the events once nothing is wrong any more: it was said when it began and when it ended, in turns."""


    def are_in_turns() -> bool:
        told = [event for event in told_events(fastlb) if event[1] == name]
        return bool(told) and told == [("alert_begun", name), ("alert_ended", name)] * (len(told) // 2)

    wait_until(are_in_turns, "events of its begin and its end are written, in turns")


def kill_workers(app: App) -> None:
    for pid in app.worker_pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_restarts_are_an_alert_until_they_stop(fastlb: Fastlb) -> None:
    rules = ("--alert-restarts", "1", "--alert-restarts-window", "2s", "--max-restarts", "1000")
    app = fastlb.start("asgi_probe:app", "--workers", "2", *QUICK, *rules)
    assert alerts(app) == {}

    def has_restarted_too_often() -> bool:
        kill_workers(app)
        return "restarts" in alerts(app)

    wait_until(has_restarted_too_often, "workers have been restarted", WAIT)
    wait_until(lambda: alerts(app) == {}, "nothing is wrong any more", WAIT)
    begun_and_ended(fastlb, "restarts")


def test_slow_responses_are_an_alert_as_long_as_they_come(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", *QUICK, "--alert-response-time", "20ms")
    with LoadProcess(Plan(address=app.address, path="/sleep?0.1", clients=8)) as load:
        wait_until(lambda: "response_time" in alerts(app), "responses are slow", WAIT)
        assert "took longer than" in alerts(app)["response_time"]
        assert " !1 " in fastlb.ok("list", "--apps").stdout
        assert "alert response_time since" in fastlb.ok("list", "--apps").stdout
        assert "response_time since" in app.ok("show").stdout
        load.stop()
    wait_until(lambda: alerts(app) == {}, "nothing is asked any more", WAIT)
    begun_and_ended(fastlb, "response_time")


def test_ill_worker_is_an_alert_until_it_is_well(fastlb: Fastlb, tmp_path: Path) -> None:
    file = tmp_path / "ill"
    often = ("--health-check-interval", "0.1s", "--health-check-grace-period", "0", "--health-check-failures", "1000")
    check = ("--health-check", "/health", "--env", f"HEALTH_FILE={file}", *often)
    app = fastlb.start("healthy:app", "--workers", "2", *check, *QUICK)
    file.write_text("0")
    wait_until(lambda: "unhealthy" in alerts(app), "one is ill", WAIT)
    assert alerts(app)["unhealthy"].startswith("worker 0 is ill: GET /health: answered 503")
    file.unlink()
    wait_until(lambda: alerts(app) == {}, "it is well", WAIT)
    begun_and_ended(fastlb, "unhealthy")


def test_reload_that_fails_is_an_alert_until_one_succeeds(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", *QUICK)
    fastlb.ok("set", "app", "target=syntax_error:app")
    fastlb.allow_in_logs("Traceback")
    assert fastlb.cli("reload", "app").returncode == 1
    wait_until(lambda: "reload_failed" in alerts(app), "it has failed", WAIT)
    fastlb.ok("set", "app", "target=asgi_probe:app")
    app.ok("reload")
    wait_until(lambda: alerts(app) == {}, "another has not", WAIT)
    begun_and_ended(fastlb, "reload_failed")


def test_everybody_is_told_once_of_both_and_a_dead_channel_is_an_alert(fastlb: Fastlb, tmp_path: Path) -> None:
    told = tmp_path / "told"
    dead = f"http://127.0.0.1:{free_port()}/{SECRET}"
    options = ("--alert-group-wait", "0.2s", "--alert-command", f"sh -c 'cat >> {told}'", "--alert-sms", "+12345")
    with http_server() as hook, smtp_server() as mail:
        hooks = ("--alert-webhook", f"http://127.0.0.1:{hook.port}/{SECRET}", "--alert-webhook", dead)
        letters = ("--alert-email", "ops@example.org", "--alert-smtp", f"smtp://127.0.0.1:{mail.port}")
        app = fastlb.start("asgi_probe:app", *QUICK[1:], *options, *hooks, *letters)
        fastlb.ok("set", "app", "target=syntax_error:app")
        fastlb.allow_in_logs("Traceback")
        assert fastlb.cli("reload", "app").returncode == 1
        fastlb.ok("set", "app", "target=asgi_probe:app")
        both = ["reload_failed", "channel"]
        wait_until(lambda: names_told(hook.bodies, "begun") == both, "a channel is dead, which is told", WAIT)
        app.ok("reload")
        wait_until(lambda: names_told(hook.bodies, "ended") == ["reload_failed"], "its end is told", WAIT)
        wait_until(lambda: told.exists() and told.read_text().count("\n") == 3, "so it is there", WAIT)
        assert [json.loads(line)["sms"] for line in told.read_text().splitlines()] == [["+12345"]] * 3
        wait_until(lambda: len(mail.bodies) == 3, "and by letter", WAIT)
        tested = fastlb.cli("alerts", "test", "app")
        assert tested.returncode == 1
        assert "webhook 127.0.0.1 has taken it" in tested.stdout
        assert "takes nothing: Connection refused" in tested.stdout
        assert hook.bodies[-1]["is_test"]
        shown = [fastlb.ok(*words).stdout for words in WHAT_SHOWS]
        assert not [text for text in [*shown, fastlb.logs_text(1 << 20)] if SECRET in text]


def names_told(bodies: list[dict[str, list[dict[str, str]]]], of: str) -> list[str]:
    return [alert["name"] for body in bodies for alert in body[of]]


def test_silence_tells_nobody_through_an_update_and_its_end_what_is_on(fastlb: Fastlb) -> None:
    with http_server() as hook:
        sudden = ("--alert-group-wait", "0", "--alert-for", "0", "--alert-interval", "0.2s", "--alert-disk", "0")
        app = fastlb.start("asgi_probe:app", "--alert-webhook", f"http://127.0.0.1:{hook.port}/", *sudden)
        assert "nobody is told until" in fastlb.ok("alerts", "silence", "1h", "app").stdout
        fastlb.ok("set", "app", "alert_memory=1")
        app.ok("reload")
        app.ok("update")
        wait_until(lambda: "memory" in alerts(app), "some memory is used", WAIT)
        report = json.loads(fastlb.ok("alerts", "--json").stdout)[0]
        assert (report["app"], report["is_watched"], bool(report["silent_until"])) == ("app", True, True)
        assert hook.bodies == []
        fastlb.ok("alerts", "silence", "off")
        wait_until(lambda: names_told(hook.bodies, "begun") == ["memory"], "it is told", WAIT)


def test_update_goes_on_with_what_is_on_and_tells_what_waits_once(fastlb: Fastlb) -> None:
    with http_server(503) as hook:
        sudden = ("--alert-group-wait", "0", "--alert-for", "0", "--alert-interval", "0.2s", "--alert-disk", "0")
        told = ("--alert-webhook", f"http://127.0.0.1:{hook.port}/")
        app = fastlb.start("asgi_probe:app", "--alert-memory", "1", *told, *sudden)
        wait_until(lambda: "channel" in alerts(app), "nobody could be told", WAIT)
        (before,) = [alert for alert in app.entry()["alerts"] if alert["name"] == "memory"]
        hook.status = 200
        app.ok("update")
        (after,) = [alert for alert in app.entry()["alerts"] if alert["name"] == "memory"]
        assert after["began_at"] == before["began_at"]
        wait_until(lambda: "channel" in names_told(hook.taken, "begun"), "what waited is told", WAIT)
        fastlb.ok("set", "app", "alert_memory=0")
        app.ok("reload")
        both = ["channel", "memory"]
        wait_until(lambda: sorted(names_told(hook.taken, "ended")) == both, "their ends are told", WAIT)
        assert sorted(names_told(hook.taken, "begun")) == both
    for name in both:
        begun_and_ended(fastlb, name)


def test_app_that_ends_by_itself_says_so_before(fastlb: Fastlb) -> None:
    with http_server() as hook:
        telling = ("--alert-webhook", f"http://127.0.0.1:{hook.port}/", "--alert-interval", "1h")
        only_once = ("--max-restarts", "1", "--min-uptime", "60", "--settle", "0.1", "--name", "app")
        process = fastlb.popen("run", "asgi_probe:app", "--bind", "127.0.0.1:0", *telling, *only_once)
        wait_until(lambda: [app for app in fastlb.list_json() if app["status"] == "online"], "it is online", WAIT)
        kill_workers(fastlb.app())
        process.communicate(timeout=scaled(WAIT))
        assert "errored" in names_told(hook.bodies, "begun")


def test_without_being_asked_nothing_is_looked_at_and_a_reload_asks(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    assert alerts(app) == {}
    assert "`fastlb set app alerts=on`" in fastlb.ok("alerts").stdout
    fastlb.ok("set", "app", "alerts=on", "alert_memory=1", "alert_for=0", "alert_interval=0.2s")
    app.ok("reload")
    wait_until(lambda: "memory" in alerts(app), "some memory is used", WAIT)
    fastlb.ok("set", "app", "alerts=off")
    app.ok("reload")
    wait_until(lambda: alerts(app) == {}, "nothing is looked at any more", WAIT)


def test_a_test_that_nobody_hears_fails(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app", "--alerts")
    tested = fastlb.cli("alerts", "test", "app")
    assert tested.returncode == 1
    assert "nobody is told: give --alert-email" in tested.stdout
    assert fastlb.cli("alerts", "test").returncode == 1
    fastlb.ok("stop", "app")
    tested = fastlb.cli("alerts", "test", "app")
    assert (tested.returncode, "app does not run" in tested.stderr) == (1, True)
