"""What words change of settings, and what a reload may apply."""

from typing import Any

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.changes import (
    changed_config,
    changed_names,
    changed_settings,
    check_can_reload,
    needing_start,
)
from fastlb.supervisor.settings.declared import NEEDS_START, declared_settings

BASE = AppConfig(target="shop:app", name="shop", env={"A": "1"}, workers=2)


def changed(*words: str, unset: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what differs from BASE."""
    config = changed_config(BASE, words, unset)
    return {name: getattr(config, name) for name in changed_settings(BASE, config)}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("max_memory_restart=500M", {"max_memory_restart": 500 << 20}),
        ("kill-timeout=1m", {"kill_timeout": 60.0}),
        ("--kill-timeout=1m", {"kill_timeout": 60.0}),
        ("access_log=on", {"access_log": True}),
        ("workers=3", {"workers": 3}),
        ("args=a 'b c'", {"args": ("a", "b c")}),
        ("stop_exit_codes=1 2", {"stop_exit_codes": (1, 2)}),
        ("env.B=x=y", {"env": {"A": "1", "B": "x=y"}}),
        ("env.A=", {"env": {"A": ""}}),
        ("env=B=1 C=2", {"env": {"B": "1", "C": "2"}}),
        ("workers=2", {}),
    ],
)
def test_words_change_settings(word: str, expected: dict[str, Any]) -> None:
    assert changed(word) == expected


def test_changes_are_told_by_the_names_that_one_types() -> None:
    after = changed_config(BASE, ["env.B=2", "env.A=3", "workers=4"], [])
    assert sorted(changed_names(BASE, after)) == ["env.A", "env.B", "workers"]
    assert changed_names(after, changed_config(after, [], ["env.B"])) == ["env.B"]
    assert changed_names(BASE, BASE) == []


def test_defaults_come_back_and_variables_go() -> None:
    assert changed(unset=("workers", "env.A")) == {"workers": 1, "env": {}}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("workers", "not NAME=VALUE; --unset workers"),
        ("wrokers=3", "no setting 'wrokers'; did you mean workers"),
        ("instances=3", "no setting 'instances'; did you mean workers"),
        ("kill_timeout=soon", "kill_timeout: "),
        ("kill_timeout=5000", "kill_timeout: .*5000"),
        ("workers.A=1", "workers is one value"),
    ],
)
def test_words_that_mean_nothing_are_refused(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        changed_config(BASE, [word], [])


@pytest.mark.parametrize(
    ("name", "message"), [("name", "has no default"), ("env.B", "there is none"), ("x", "no setting")]
)
def test_what_cannot_be_unset_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        changed_config(BASE, [], [name])


def test_what_needs_a_start_is_a_setting_and_says_why() -> None:
    names = {setting.name for setting in declared_settings()}
    assert set(NEEDS_START) <= names
    assert all(NEEDS_START.values())


def test_what_needs_a_start_is_refused_with_what_to_type() -> None:
    after = changed_config(BASE, ["bind=:80", "workers=3", "balance=ip-hash"], [])
    assert needing_start(BASE, after) == ["bind", "balance"]
    with pytest.raises(UsageError) as refused:
        check_can_reload(BASE, after)
    assert refused.value.message == (
        "bind, balance: this changes with a stop and a start alone, as the sockets outlive the workers:"
        " `fastlb stop shop`, then `fastlb start shop --bind ... --balance ...`; nothing was changed"
    )


def test_another_kind_of_app_needs_a_start() -> None:
    after = AppConfig(target="server.js", name="shop", env={"A": "1"}, workers=2)
    assert needing_start(BASE, after) == ["target"]
    with pytest.raises(UsageError, match="an app of python does not become one of node"):
        check_can_reload(BASE, after)


def test_another_directory_needs_a_start_where_log_files_are_in_it() -> None:
    for path, needing in (("out.log", ["cwd"]), ("/out.log", []), ("NULL", [])):
        before = AppConfig(target="a:b", name="a", cwd="/x", out_file=path)
        assert needing_start(before, changed_config(before, ["cwd=/y"], [])) == needing


def test_another_target_of_the_same_kind_needs_none() -> None:
    check_can_reload(BASE, AppConfig(target="shop.asgi:app", name="shop"))
