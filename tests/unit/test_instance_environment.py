"""The environment of one worker: its number, and a variable that counts up."""

from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.processes.environment import app_environment, number_remark, worker_environment
from fastlb.supervisor.settings.app_config import AppConfig


def environment(worker_id: int = 0, inherited: dict[str, str] | None = None, **settings: Any) -> dict[str, str]:
    config = AppConfig(target="a:b", name="a", **settings)
    return worker_environment(config, worker_id, app_environment(config, inherited or {}))


def test_worker_is_told_its_number() -> None:
    assert environment(3) == {"NODE_APP_INSTANCE": "3"}
    assert environment(3, instance_var="NUMBER") == {"NUMBER": "3"}
    assert environment(3, instance_var="") == {}


def test_env_of_the_app_counts_more_than_what_is_inherited() -> None:
    env = environment(inherited={"A": "1", "B": "2"}, env={"A": "3"}, instance_var="")
    assert env == {"A": "3", "B": "2"}


@pytest.mark.parametrize(
    ("env", "inherited", "value"),
    [
        ({"PORT": "3000"}, {"PORT": "80"}, "3002"),
        ({}, {"PORT": "80"}, "82"),
        ({}, {}, "2"),
        ({"PORT": ""}, {}, "2"),
        ({"PORT": "-1"}, {}, "1"),
    ],
)
def test_variable_counts_up_from_where_it_stands(env: dict[str, str], inherited: dict[str, str], value: str) -> None:
    assert environment(2, inherited, env=env, increment_var="PORT")["PORT"] == value


@pytest.mark.parametrize("start", ["x", "1.5", "²", "-", "9" * 30])
def test_variable_that_cannot_count_is_refused(start: str) -> None:
    with pytest.raises(UsageError, match="--increment-var PORT: it starts from"):
        environment(env={"PORT": start}, increment_var="PORT")


@pytest.mark.parametrize("option", ["instance_var", "increment_var"])
def test_assignment_is_no_name(option: str) -> None:
    settings: dict[str, Any] = {option: "PORT=3000"}
    with pytest.raises(UsageError, match="the name of the variable alone"):
        environment(**settings)


@pytest.mark.parametrize("name", ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"])
def test_channel_of_another_node_process_is_not_inherited(name: str) -> None:
    assert name not in environment(inherited={name: "3"})
    assert name not in environment(env={name: "3"})


@pytest.mark.parametrize(
    ("filtered", "left"),
    [
        (("SECRET",), ["HOME", "LC_ALL", "PATH"]),
        (("SECRET_KEY",), ["HOME", "LC_ALL", "PATH", "SECRET"]),
        (("SECRET_", "HOM"), ["LC_ALL", "PATH", "SECRET"]),
        (("true",), ["HOME", "LC_ALL", "PATH"]),
    ],
)
def test_shell_variables_are_kept_from_the_app(filtered: tuple[str, ...], left: list[str]) -> None:
    shell = dict.fromkeys(("PATH", "HOME", "LC_ALL", "SECRET", "SECRET_KEY"), "x")
    assert sorted(environment(inherited=shell, filter_env=filtered, instance_var="")) == left


def test_filter_does_not_touch_what_the_settings_say() -> None:
    assert environment(env={"SECRET": "1"}, filter_env=("true",), instance_var="") == {"SECRET": "1"}


@pytest.mark.parametrize("name", ["NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC", "JOURNAL_STREAM", "FASTLB_WORKERS"])
def test_what_was_said_to_us_alone_is_not_handed_on(name: str) -> None:
    assert environment(inherited={name: "1"}, instance_var="") == {}
    assert environment(inherited={name: "1"}, env={name: "2"}, instance_var="") == {name: "2"}


def test_number_stands_in_values_of_the_settings_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FROM_FILE=a-${instance}\n")
    env = environment(
        3,
        {"SHELL_SAYS": "${instance}"},
        env={"ID": "${instance_var}", "OTHER": "${name} $instance"},
        env_file=(str(tmp_path / ".env"),),
        instance_var="",
    )
    assert env == {"SHELL_SAYS": "${instance}", "FROM_FILE": "a-3", "ID": "3", "OTHER": "${name} $instance"}


def test_settings_count_more_than_files_and_files_more_than_the_shell(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    shell = {"A": "shell", "B": "shell", "C": "shell"}
    env = environment(0, shell, env={"A": "env"}, env_file=(".env",), cwd=str(tmp_path), instance_var="")
    assert env == {"A": "env", "B": "file", "C": "shell"}


def test_variables_that_hold_the_number_are_named() -> None:
    config = AppConfig(target="a:b", name="a", env={"A": "1", "ID": "w${instance}", "N": "${instance_var}"})
    names = app_environment(config, {}).per_worker
    assert number_remark(names) == "ID, N: ${instance} and ${instance_var} are the worker's number"
    assert number_remark(()) == ""
