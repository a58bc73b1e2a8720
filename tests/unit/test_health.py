"""What follows from answers to health checks, which answers are good ones, and what may be asked."""

from dataclasses import replace

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.health.asker import judge_answer, request
from fastlb.supervisor.health.judge import NEW, Health, after_answer, is_panic, is_to_be_replaced, next_pause
from fastlb.supervisor.kinds import traits_of
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.declared import check_config
from fastlb.supervisor.settings.health import HealthPlan, health_plan

PLAN = HealthPlan("http", path="/health", host="localhost", interval=30, grace_period=3, failures=3, successes=2)
LATER = 100.0  # seconds after the start


def answered(*failures: str, age: float = LATER, health: Health = NEW) -> Health:
    """The health after these answers; "": a good one."""
    for failure in failures:
        health = after_answer(PLAN, health, failure, age)
    return health


def test_first_failure_makes_ill_and_enough_successes_in_a_row_make_well() -> None:
    assert not answered("", "").is_ill
    ill = answered("", "503")
    assert (ill.is_ill, ill.reason) == (True, "503")
    assert answered("", health=ill).is_ill
    assert answered("", "504", "", health=ill).is_ill
    well = answered("", "", health=ill)
    assert (well.is_ill, well.reason) == (False, "")


def test_worker_is_replaced_after_enough_failures_in_a_row() -> None:
    assert not is_to_be_replaced(PLAN, answered("503", "503"))
    assert is_to_be_replaced(PLAN, answered("503", "503", "503"))
    assert not is_to_be_replaced(PLAN, answered("503", "503", "", "503"))


def test_failure_within_the_grace_period_makes_nobody_ill() -> None:
    young = answered("503", "503", age=2.9)
    assert (young.is_ill, young.failures) == (False, 0)
    assert answered("503", age=3.0, health=young).is_ill


@pytest.mark.parametrize(
    ("health", "is_ready", "pauses"),
    [
        (NEW, False, (0.1, 0.1)),
        (Health(asked=2), False, (0.4, 0.4)),
        (Health(asked=50), False, (1.0, 1.0)),
        (Health(successes=1), True, (0.0, 30.0)),
        (Health(successes=2), True, (30.0, 30.0)),
        (Health(failures=1, is_ill=True), True, (5.0, 5.0)),
        (NEW, True, (5.0, 5.0)),
    ],
)
def test_when_the_next_question_is_due(health: Health, is_ready: bool, pauses: tuple[float, float]) -> None:
    assert tuple(next_pause(PLAN, health, is_ready=is_ready, jitter=jitter) for jitter in (0.0, 1.0)) == pauses
    often = replace(PLAN, interval=0.05)
    assert next_pause(often, health, is_ready=is_ready, jitter=1.0) == 0.05


def test_panic_is_when_all_that_serve_are_ill() -> None:
    ill = Health(is_ill=True)
    assert is_panic([ill, ill])
    assert not is_panic([ill, NEW])
    assert not is_panic([])


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 204\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered 404"),
        (b"HTTP/1.1 503 x\r\n\r\n", "answered 503"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "answered 100"),
        (b"", "answered nothing"),
        (b"SSH-2.0-x\r\n", "answered something else than HTTP"),
        (b"HTTP/1.1 20 x\r\n", "answered something else than HTTP"),
        (b"HTTP/1.1 \xb2\xb2\xb2 x\r\n", "answered something else than HTTP"),
    ],
)
def test_which_answers_are_good(answer: bytes, failure: str) -> None:
    assert judge_answer(answer, PLAN) == failure


def test_text_has_to_be_in_the_body() -> None:
    plan = replace(PLAN, text="fine")
    assert judge_answer(b"HTTP/1.1 200 OK\r\n\r\nall is fine", plan) == ""
    assert judge_answer(b"HTTP/1.1 200 OK\r\nX: fine\r\n\r\n", plan) == "answered 200 without 'fine'"


def test_request_names_the_host() -> None:
    assert request(PLAN).startswith(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
    assert request(PLAN).endswith(b"\r\n\r\n")


def plan_of(**settings: object) -> HealthPlan | None:
    return health_plan(AppConfig(target="app:app", name="app", **settings))  # type: ignore[arg-type]


def test_what_may_be_asked() -> None:
    assert plan_of() is None
    cases: list[tuple[dict[str, object], str, str]] = [
        ({"health_check_interval": 5.0}, "tcp", "tcp"),
        ({"health_check": "/up"}, "http", "GET /up"),
        ({"health_check": "https://shop.test/up?full=1"}, "http", "GET /up?full=1"),
        ({"health_check": "curl -f x"}, "command", "curl -f x"),
        ({"health_check": "exec:/bin/check"}, "command", "/bin/check"),
    ]
    for settings, kind, question in cases:
        plan = plan_of(**settings)
        assert plan is not None
        assert (plan.kind, plan.question) == (kind, question)
    https = plan_of(health_check="https://shop.test/up")
    assert https is not None
    assert (https.host, https.is_tls, https.interval) == ("shop.test", True, 30.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"health_check": "tcp", "health_check_text": "x"}, "--health-check-text"),
        ({"health_check": "/up", "ssl_cert_reqs": 2}, "client certificates"),
        ({"health_check": "/a\r\nX: y"}, "--health-check"),
        ({"health_check": "exec:"}, "there is no command in it"),
        ({"health_check": " "}, "there is no command in it"),
        ({"health_check": "http://[x/"}, "this is no address"),
    ],
)
def test_what_may_not_be_asked(settings: dict[str, object], message: str) -> None:
    config = AppConfig(target="app:app", name="app", **settings)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        check_config(config, traits_of(config))
