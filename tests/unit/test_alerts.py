"""When alerts begin and end, and who is told when: the pure functions, with a clock passed in."""


import contextlib
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from fastlb.supervisor.alerts.judge import LASTING, OFF, AlertState, Phase, judge, step
from fastlb.supervisor.alerts.readings import Level, Reading
from fastlb.supervisor.alerts.sample import Sample, Share
from fastlb.supervisor.alerts.sampling import Around, disk_share, sample_of
from fastlb.supervisor.alerts.telling import HOUR, Tell, Told, due_at, tell
from fastlb.supervisor.control.protocol import AppMetrics, WorkerEntry, WorkerFigures
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.settings.alerting import ALERT_NAMES, AlertName, AlertRules, alert_rules, check_alerts
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.sockets.accept_queue import drops_of

from tests.support.waiting import wait_until

RULES = AlertRules()
INTERVAL = 10.0
SLOW, QUICK = 21, 10  # buckets: 1 to 2 s, half a millisecond to one
BUCKETS = 32


def latencies(bucket: int, count: int) -> list[int]:
    return [count if at == bucket else 0 for at in range(BUCKETS)]



class Course:
    """Looks at an app, one after the other, with what is known after each."""

    def __init__(self, rules: AlertRules = RULES) -> None:
        self.rules = rules
        self.samples = [Sample(at=0.0, requests=0, latency_us=latencies(QUICK, 0))]
        self.states: dict[AlertName, AlertState] = judge({}, self.samples, rules)

    def look(self, times: int, **changes: Any) -> "Course":
        """Look so many times; numbers in `counters` are added to the last sample's."""
        for _ in range(times):
            self.samples.append(self._next(changes))
            self.states = judge(self.states, self.samples, self.rules)
        return self

    def _next(self, changes: dict[str, Any]) -> Sample:
        last = self.samples[-1]
        at = last.at + INTERVAL
        plain = {name: value for name, value in changes.items() if not name.startswith("more_")}
        more = {name.removeprefix("more_"): value for name, value in changes.items() if name.startswith("more_")}
        counted = {name: getattr(last, name) + value for name, value in more.items() if name != "latency_us"}
        if "latency_us" in more:
            counted["latency_us"] = [a + b for a, b in zip(last.latency_us, more["latency_us"], strict=True)]
        kept = {name: getattr(last, name) for name in ("restarts", "requests", "errors", "latency_us", "overflows")}
        return Sample(at=at, **(kept | counted | plain))

    @property
    def on(self) -> set[AlertName]:
        return {name for name, state in self.states.items() if state.is_on}


IDLE = Share(10.0, "nobody")
QUIET: dict[str, Any] = {"more_requests": 20, "more_latency_us": latencies(QUICK, 20)}
QUIET |= {"cpu": IDLE, "memory": IDLE, "disk": IDLE}
# What makes each alert begin, look after look, and how many looks that takes by default; and those to its end.
BAD: list[tuple[AlertName, dict[str, Any], int, int]] = [
    ("cpu", {"cpu": Share(97.0, "worker 3")}, 7, 7),
    ("memory", {"memory": Share(91.0, "worker 1")}, 7, 7),
    ("restarts", {"more_restarts": 2}, 3, 58),
    ("response_time", {"more_requests": 20, "more_latency_us": latencies(SLOW, 20)}, 5, 6),
    ("errors", {"more_requests": 20, "more_errors": 5, "more_latency_us": latencies(QUICK, 20)}, 5, 5),
    ("unhealthy", {"unhealthy": ["worker 0 is ill: GET /health: answered 503"]}, 7, 7),
    ("errored", {"errored": [1]}, 1, 1),
    ("reload_failed", {"reload_failure": "reload: worker 2 did not start"}, 1, 1),
    ("disk", {"disk": Share(95.0, "the disk of /logs")}, 7, 7),
    ("listen_overflow", {"more_overflows": 3}, 1, 6),
    ("channel", {"dead_channels": ["webhook hooks.slack.com: timed out"]}, 1, 1),
]


@pytest.mark.parametrize(("name", "bad", "looks", "looks_to_end"), BAD, ids=[row[0] for row in BAD])
def test_alert_begins_in_its_time_and_ends_in_its_time(
    name: AlertName, bad: dict[str, Any], looks: int, looks_to_end: int
) -> None:
    course = Course()
    course.look(looks - 1, **bad)
    assert course.on == set(), "it is too early"
    course.look(1, **bad)
    assert course.on == {name}
    assert course.states[name].text
    course.look(looks_to_end - 1, **QUIET)
    assert course.on == {name}, "it has not ended yet"
    course.look(2, **QUIET)
    assert course.on == set()
    assert course.states[name].text, "what has ended is known"


def test_every_alert_has_a_table() -> None:
    assert [row[0] for row in BAD] == list(ALERT_NAMES)


@pytest.mark.parametrize(("name", "bad", "looks", "_"), BAD, ids=[row[0] for row in BAD])
def test_alert_that_is_ignored_never_begins(name: AlertName, bad: dict[str, Any], looks: int, _: int) -> None:
    assert Course(replace(RULES, ignored=frozenset({name}))).look(looks + 5, **bad).on == set()


@pytest.mark.parametrize("setting", ["cpu", "memory", "restarts", "response_time", "errors", "disk"])
def test_limit_of_0_is_none(setting: str) -> None:
    bad = next(row[1] for row in BAD if row[0] == setting)
    changes: dict[str, Any] = {setting: 0}
    assert Course(replace(RULES, **changes)).look(20, **bad).on == set()


def test_short_peak_is_no_alert() -> None:
    course = Course()
    for _ in range(5):
        course.look(5, cpu=Share(99.0)).look(1, cpu=Share(79.0))
        assert course.on == set()


def test_value_that_swings_about_its_limit_is_one_alert() -> None:
    course = Course().look(7, cpu=Share(81.0))
    for _ in range(20):
        course.look(10, cpu=Share(75.0)).look(3, cpu=Share(85.0)).look(3, cpu=Share(71.0))
        assert course.on == {"cpu"}
    assert course.look(8, cpu=Share(71.0)).on == set()


def test_ten_restarts_over_a_long_time_are_no_alert() -> None:
    course = Course()
    for _ in range(10):
        assert course.look(15, **QUIET).look(1, more_restarts=1).on == set()


def test_counter_that_falls_is_no_growth() -> None:
    course = Course().look(1, restarts=100).look(1, restarts=0).look(1, restarts=4)
    assert "restarts" in course.on, "a hundred at once"
    fresh = Course()
    fresh.samples[-1] = replace(fresh.samples[-1], restarts=100)
    assert fresh.look(1, restarts=0).look(1, restarts=5).on == set()


def test_few_requests_say_nothing_of_all() -> None:
    assert Course().look(12, more_requests=1, more_errors=1, more_latency_us=latencies(SLOW, 1)).on == set()


@pytest.mark.parametrize("lasting", [0.0, 60.0])
@pytest.mark.parametrize("level", get_args(Level))
@pytest.mark.parametrize("phase", get_args(Phase))
def test_step_is_total_and_alert_keeps_its_beginning(phase: Phase, level: Level, lasting: float) -> None:
    state = AlertState(phase, since=100.0, began_at=90.0 if phase in ("on", "ending") else 0.0)
    for now in (100.0, 130.0, 160.0):
        after = step(state, Reading(level, "why"), lasting, now)
        assert after.is_on or not state.is_on or level == "good" or phase == "ending"
        waited = now - 100 if phase == "pending" else 0.0
        assert not after.is_on or state.is_on or (level == "bad" and waited >= lasting)
        if state.is_on and after.is_on:
            assert after.began_at == 90.0


def test_what_lasts_is_known() -> None:
    assert set(LASTING) < set(ALERT_NAMES)
    assert not OFF.is_on


# Telling

GROUP = RULES.group_wait


def names(*found: AlertName) -> frozenset[AlertName]:
    return frozenset(found)


def test_what_begins_together_is_one_message() -> None:
    told, found = tell(Told(), names("cpu"), RULES, 0.0, is_silent=False)
    assert (found, due_at(told, RULES)) == (Tell(), GROUP)
    told, found = tell(told, names("cpu", "restarts"), RULES, 5.0, is_silent=False)
    assert found == Tell()
    told, found = tell(told, names("cpu", "restarts"), RULES, GROUP, is_silent=False)
    assert found == Tell(begun=("cpu", "restarts"))
    told, found = tell(told, names("cpu", "restarts"), RULES, 5000.0, is_silent=False)
    assert found == Tell(), "it is told once"
    told, _ = tell(told, names("restarts"), RULES, 5000.0, is_silent=False)
    told, found = tell(told, names("restarts"), RULES, 5000.0 + GROUP, is_silent=False)
    assert found == Tell(ended=("cpu",))


def test_of_what_is_over_before_it_is_told_nobody_hears() -> None:
    told, _ = tell(Told(), names("cpu"), RULES, 0.0, is_silent=False)
    told, found = tell(told, names(), RULES, 5.0, is_silent=False)
    assert (found, told) == (Tell(), Told())


def test_silence_tells_nothing_and_its_end_what_is_still_on() -> None:
    told = Told(names("disk"), sent_at=(0.0,))
    for now in (10.0, 100.0, 1000.0):
        told, found = tell(told, names("cpu", "restarts"), RULES, now, is_silent=True)
        assert found == Tell()
    told, _ = tell(told, names("cpu"), RULES, 1001.0, is_silent=False)
    told, found = tell(told, names("cpu"), RULES, 1001.0 + GROUP, is_silent=False)
    assert found == Tell(begun=("cpu",), ended=("disk",))


def test_more_messages_than_allowed_become_one() -> None:
    rules, told, sent = replace(RULES, most_per_hour=3), Told(), []
    for now in range(0, 7200, 15):
        on = names("cpu") if now // 60 % 2 else names("memory")
        told, found = tell(told, on, rules, float(now), is_silent=False)
        sent += [now] if found.begun or found.ended else []
    assert len(sent) == 6
    assert sent[3] - sent[0] >= HOUR
    assert len(told.sent_at) <= 3


# Samples of what `metrics` says


def worker(number: int, **fields: Any) -> WorkerEntry:
    usual: dict[str, Any] = {"pid": 100 + number, "status": "online", "uptime_s": 1.0, "restarts": 0, "connections": 0}
    return WorkerEntry(id=number, **(usual | {"requests": 0, "rss_bytes": 1 << 20, "cpu_percent": 1.0} | fields))


def metrics(*workers: WorkerEntry, **fields: Any) -> AppMetrics:
    usual: dict[str, Any] = {"name": "app", "status": "online", "pid": 1, "uptime_s": 1.0, "restarts": 0, "binds": []}
    usual |= {"balance": "", "figures": [], "dispatcher": {}, "logs": {}, "max_memory_bytes": 0}
    return AppMetrics(**(usual | {"workers": list(workers)} | fields))


def test_sample_has_the_busiest_and_the_fullest() -> None:
    workers = worker(0, cpu_percent=20.0, rss_bytes=90), worker(1, cpu_percent=90.0, rss_bytes=10)
    found = sample_of(metrics(*workers, max_memory_bytes=100), Around(Share(50.0, "the machine")), 7.0)
    assert (found.cpu, found.memory, found.at) == (Share(90.0, "worker 1"), Share(90.0, "worker 0"), 7.0)
    found = sample_of(metrics(*workers), Around(Share(50.0, "the machine")), 7.0)
    assert found.memory == Share(50.0, "the machine")


def test_sample_sums_what_is_counted() -> None:
    workers = worker(0, requests=3, errors=1), worker(1, requests=4, errors=2, pid=None, status="errored")
    figures = [WorkerFigures(0, 0.0, [1, 2]), WorkerFigures(1, 0.0, [10, 20])]
    found = sample_of(metrics(*workers, figures=figures, restarts=9), Around(overflows=5), 0.0)
    assert (found.requests, found.errors, found.restarts, found.overflows) == (7, 3, 9, 5)
    assert (list(found.latency_us), list(found.errored)) == ([11, 22], [1])


def test_sample_of_programs_that_count_nothing() -> None:
    found = sample_of(metrics(worker(0, requests=None)), Around(), 0.0)
    assert (found.requests, list(found.latency_us)) == (None, [])
    ill = worker(0, status="unhealthy", impediment="is ill: tcp: refused")
    assert list(sample_of(metrics(ill), Around(), 0.0).unhealthy) == ["worker 0 is ill: tcp: refused"]


# What is around an app


def test_full_backlog_is_counted_by_the_kernel() -> None:
    with contextlib.ExitStack() as clients, socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        assert drops_of(listener) == 0
        for _ in range(6):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        wait_until(lambda: drops_of(listener) > 0, "some have found no room")
    assert drops_of(listener) == 0, "a closed one says nothing"


def test_disk_of_this_machine() -> None:
    disk = disk_share(Path("/"))
    assert disk
    assert 0 < disk.percent <= 100
    assert disk_share(Path("/no/such/directory")) is None


# Settings


def config(**settings: Any) -> AppConfig:
    return AppConfig(target="a:b", name="a", **settings)


def test_alerts_are_wanted_when_they_are_asked_for_or_somebody_is_told() -> None:
    assert alert_rules(config()) is None
    assert alert_rules(config(alerts=True)) == AlertRules()
    assert alert_rules(config(alert_email=("a@b",))) == AlertRules()
    assert alert_rules(config(alert_command="true")) == AlertRules()


@pytest.mark.parametrize(
    "settings",
    [
        {"alert_ignore": ("cpus",)},
        {"alert_email": ("nobody",)},
        {"alert_email": ("a@b>\r\nRCPT TO:<c@d",)},
        {"alert_email_from": "a b@c"},
        {"alert_smtp": "http://secret@host"},
        {"alert_smtp": "smtp://u:secret@host:x"},
        {"alert_webhook": ("ftp://host/secret",)},
        {"alert_webhook": ("https:///secret",)},
        {"alert_webhook": ("slack+https://host/secret\r\nHost: other",)},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_without_its_secret(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--alert-") as refused:
        check_alerts(config(**settings))
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "settings",
    [
        {"alert_smtp": "mail.example.org:587"},
        {"alert_smtp": "smtps://user:p%40ss@mail.example.org"},
        {"alert_smtp": "env:SMTP"},
        {"alert_webhook": ("slack+https://hooks.slack.com/x", "env:HOOK", "discord+file:/run/hook", "http://[::1]:1/")},
        {"alert_email": ("ops@example.org", "root@localhost")},
    ],
    ids=str,
)
def test_what_makes_sense_is_taken(settings: dict[str, Any]) -> None:
    check_alerts(config(**settings))
