"""The number of workers that follows the load, and what a person says against it."""

import json

from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.waiting import wait_until

# A look is taken every second.
QUICK = ("--scale-up-cooldown", "2s", "--scale-down-cooldown", "2s")


def events_of(fastlb: Fastlb) -> list[dict[str, object]]:
    return [json.loads(line) for line in fastlb.ok("events", "app", "--lines", "1000", "--json").stdout.splitlines()]


def target(app: App) -> int:
    return int(app.entry()["target_workers"])


def test_number_follows_the_load_and_no_request_fails(fastlb: Fastlb) -> None:
    app = fastlb.start("wsgi_probe:app", "--max-instances", "3", *QUICK)
    assert app.entry()["autoscaling"]["mode"] == "auto"
    with LoadProcess(Plan(address=app.address, path="/sleep?0.05", clients=4)) as load:
        wait_until(lambda: target(app) == 3, "there are to be 3 workers", 20)
        app.wait_online(3)
        load.wait_for(20)
    assert load.report.failed == 0, load.report
    app.wait_online(1)
    assert "down to 1" in app.entry()["autoscaling"]["last_decision"]
    events = events_of(fastlb)
    decided = [event for event in events if event["event"] == "autoscaling_decided"]
    assert decided[0]["workers_before"] == 1
    assert decided[0]["busy_percent"] > 80  # type: ignore[operator]
    assert "is above 80 %" in str(decided[0]["reason"])
    assert {event["by"] for event in events if event["event"] == "scale_begun"} == {"autoscaling"}


def test_pin_holds_through_reload_update_and_resurrect_until_it_is_undone(fastlb: Fastlb) -> None:
    app = fastlb.start("wsgi_probe:app", "--min-instances", "2", "--max-instances", "3")
    app.wait_online(2)
    assert "pinned, until `fastlb scale app auto`" in app.ok("scale", "1").stdout
    app.ok("reload")
    app.ok("update")
    app.wait_online(1)
    assert " pinned " in fastlb.ok("list", "--apps").stdout
    fastlb.ok("save")
    fastlb.ok("delete", "app")
    fastlb.ok("resurrect")
    app.wait_online(1)
    assert json.loads(fastlb.ok("jlist").stdout)[0]["pm2_env"]["autoscaling"]["mode"] == "pinned"
    assert "no longer pinned" in app.ok("scale", "auto").stdout
    app.wait_online(2)
    assert "as the load asks for, 2 to 3 workers" in fastlb.ok("show", "app").stdout
    app.ok("scale", "1")
    fastlb.ok("set", "app", "workers=3")
    app.ok("reload")
    app.wait_online(3)
    assert app.entry()["autoscaling"]["mode"] == "auto", "another number in the settings ends a pin"
