"""The environment of one worker: its number, and a variable that counts up."""

from typing import Any

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.processes.environment import app_environment, worker_environment
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
