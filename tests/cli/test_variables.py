"""Environment variables in the place of options: which count, before what, and what is said of bad ones."""

from pathlib import Path
from typing import Any

import pytest
from fastlb.cli.start_request import StartRequest, origins_text, requested_start
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.processes.environment import app_environment, worker_environment
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.most_workers import usable_workers
from fastlb.supervisor.settings.variables import option_variables

from tests.support.fastlb_process import Fastlb
from tests.support.ports import free_port


@pytest.fixture(autouse=True)
def home(fastlb: Fastlb, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for what looks for apps in this process."""
    monkeypatch.setenv("FASTLB_HOME", str(fastlb.home))
    return fastlb.home


def asked(environ: dict[str, str], target: str = "server:app", **given: Any) -> StartRequest:
    return requested_start(target, (), given, environ)


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("FASTLB_WORKERS", "4", "workers", 4),
        ("FASTLB_WORKERS", "max", "workers", usable_workers()),
        ("FASTLB_BIND", "127.0.0.1:80 'unix:/a b'", "bind", ("127.0.0.1:80", "unix:/a b")),
        ("FASTLB_ENV", "A=1 'B=2 3'", "env", {"A": "1", "B": "2 3"}),
        ("FASTLB_KILL_TIMEOUT", "1m30s", "kill_timeout", 90.0),
        ("FASTLB_ACCESS_LOG", "yes", "access_log", True),
        ("FASTLB_SERVER_HEADER", "0", "server_header", False),
        ("FASTLB_LIMIT_REQUEST_BODY", "10M", "limit_request_body", 10 << 20),
        ("FASTLB_NAME", "shop", "name", "shop"),
        ("WEB_CONCURRENCY", "3", "workers", 3),
        ("PORT", "8080", "bind", (":8080",)),
        ("FORWARDED_ALLOW_IPS", "10.0.0.0/8", "forwarded_allow_ips", "10.0.0.0/8"),
    ],
)
def test_variable_says_what_the_option_would(variable: str, text: str, setting: str, value: Any) -> None:
    request = asked({variable: text})
    assert getattr(request.config, setting) == value
    assert request.origins == {setting: variable}


def test_every_option_has_a_variable() -> None:
    config = AppConfig(target="a:b", name="a")
    settings = {setting.name for setting in option_variables().values()}
    assert settings == set(config.__struct_fields__) - {"target", "args"}


def test_option_counts_more_than_its_variable_and_that_more_than_a_platforms() -> None:
    environ = {"FASTLB_WORKERS": "2", "WEB_CONCURRENCY": "3"}
    assert asked(environ, workers=1).config.workers == 1
    assert asked(environ, workers=1).origins == {}
    assert asked(environ).config.workers == 2
    assert asked({**environ, "FASTLB_WORKERS": ""}).config.workers == 3


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"FASTLB_WORKERS": "four"}, "FASTLB_WORKERS: 'four' is not a whole number"),
        ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY: 0 is too small"),
        ({"FASTLB_ACCESS_LOG": "perhaps"}, "FASTLB_ACCESS_LOG: 'perhaps' is none of 1, true, yes, on"),
        ({"FASTLB_KILL_TIMEOUT": "5000"}, "FASTLB_KILL_TIMEOUT: 5000 may mean"),
        ({"FASTLB_BIND": "here"}, "FASTLB_BIND: --bind here: the port is missing"),
        ({"FASTLB_ENV": "'A=1"}, "FASTLB_ENV: No closing quotation"),
        ({"FASTLB_BALANCE": "leastconn"}, "FASTLB_BALANCE: 'leastconn' is none of"),
        ({"PORT": "tcp://10.0.0.1:80"}, "PORT: --bind :tcp://10.0.0.1:80"),
    ],
)
def test_bad_value_is_refused_by_the_name_of_its_variable(environ: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        asked(environ)
    assert refused.value.message.startswith(reason)


def test_bad_value_of_a_variable_that_does_not_count_is_no_obstacle() -> None:
    assert asked({"PORT": "nonsense"}, bind=(":80",)).config.bind == (":80",)


def test_port_is_left_to_apps_that_choose_where_they_listen() -> None:
    request = asked({"PORT": "8080", "WEB_CONCURRENCY": "2"}, "server.js")
    assert request.config.bind == ()
    assert request.origins == {"workers": "WEB_CONCURRENCY"}


def test_variable_for_other_apps_is_left_out_and_this_is_said() -> None:
    request = asked({"FASTLB_THREADS": "8", "FORWARDED_ALLOW_IPS": "*"}, "server.js")
    assert request.config.threads == 1
    assert request.remarks == ["FASTLB_THREADS is left out: it is not for Node apps"]
    assert request.origins == {}


def test_misspelt_variable_is_remarked_and_what_other_programs_set_is_not() -> None:
    environ = {"FASTLB_WORKER": "4", "FASTLB_PORT": "tcp://10.0.0.1:80", "FASTLB_SERVICE_HOST": "10.0.0.1"}
    assert asked(environ).remarks == ["FASTLB_WORKER is no variable of fastlb: did you mean FASTLB_WORKERS?"]


def test_stopped_app_starts_as_before_but_for_our_own_variables(stopped: AppPaths) -> None:
    environ = {"WEB_CONCURRENCY": "7", "PORT": "80", "FASTLB_THREADS": "3", "FASTLB_NAME": "other"}
    request = asked(environ, "shop")
    assert (request.config.name, request.config.workers, request.config.bind) == ("shop", 1, ("127.0.0.1:0",))
    assert request.origins == {"threads": "FASTLB_THREADS"}


def test_secrets_of_variables_are_not_said() -> None:
    request = asked({"FASTLB_ENV": "TOKEN=canary-8"})
    assert origins_text(request.config, request.origins) == "from the environment: --env TOKEN=*** (FASTLB_ENV)"


def test_worker_gets_what_platforms_set_and_not_what_was_said_to_us() -> None:
    inherited = {"FASTLB_WORKERS": "4", "FASTLB_BIND": ":80", "PORT": "80", "WEB_CONCURRENCY": "4", "FASTLB_HOME": "/h"}
    config = AppConfig(target="a:b", name="a", instance_var="", env={"FASTLB_BIND": ":81"})
    kept = {"FASTLB_BIND": ":81", "PORT": "80", "WEB_CONCURRENCY": "4", "FASTLB_HOME": "/h"}
    assert worker_environment(config, 0, app_environment(config, inherited)) == kept


def test_start_and_show_say_where_a_value_came_from(fastlb: Fastlb) -> None:
    port = free_port()
    fastlb.env |= {"WEB_CONCURRENCY": "2", "FASTLB_SETTLE": "0.1", "PORT": str(port)}
    started = fastlb.ok("start", "asgi_probe:app", "--name", "app")
    said = "--workers 2 (WEB_CONCURRENCY)"
    assert "note: from the environment: --settle 100ms (FASTLB_SETTLE)" in started.stdout
    assert said in started.stdout
    assert f"--bind :{port} (PORT)" in started.stdout
    app = fastlb.app()
    assert (len(app.worker_pids), app.port) == (2, port)
    assert app.show()["origins"] == {"settle": "FASTLB_SETTLE", "workers": "WEB_CONCURRENCY", "bind": "PORT"}
    assert "2 (from WEB_CONCURRENCY)" in app.ok("show").stdout
    app.ok("scale", "1")
    assert "workers" not in app.show()["origins"], "it is not the environment's any more"


def test_run_says_where_a_value_came_from(fastlb: Fastlb) -> None:
    fastlb.env |= {"FASTLB_WORKERS": "nonsense"}
    result = fastlb.cli("run", "asgi_probe:app")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: FASTLB_WORKERS: 'nonsense' is not a whole number")
    fastlb.env |= {"FASTLB_WORKERS": "1"}
    result = fastlb.cli("run", "dies_at_import:app", "--name", "app", "--bind", "127.0.0.1:0")
    assert result.stderr.startswith("fastlb | from the environment: --workers 1 (FASTLB_WORKERS)\n")
