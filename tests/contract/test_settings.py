"""Settings are declared once, and everything else follows from that."""

from typing import get_args

import msgspec
from fastlb.lb.command import Policy
from fastlb.supervisor.dispatcher.keeper import policy_of
from fastlb.supervisor.settings.app_config import AppConfig, Balance
from fastlb.supervisor.settings.declared import declared_settings, format_setting, parse_setting
from fastlb.supervisor.settings.reference import reference
from fastlb.supervisor.settings.variables import option_variables
from fastlb.worker.wire import WorkerConfig

from .sources import ROOT


def test_reference_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), "run `make docs`"


def test_every_setting_is_in_the_reference() -> None:
    page = reference()
    named = {"target": "TARGET", "args": "-- ARGS"}
    expected = [named.get(setting.name, setting.option) for setting in declared_settings()]
    assert [text for text in expected if f"`{text}" not in page] == []


def test_every_variable_of_a_platform_is_explained() -> None:
    page = (ROOT / "docs" / "environment.md").read_text()
    named = [(setting.option, name) for setting in declared_settings() for name in setting.about.variables]
    assert named
    assert [name for option, name in named if f"| `{name}` | `{option}" not in page] == []


def test_no_option_has_the_variable_of_something_else() -> None:
    assert {"FASTLB_HOME", "FASTLB_WORKER_ID", "FASTLB_DEBUG"} & set(option_variables()) == set()


def test_no_two_settings_share_a_name() -> None:
    names = [setting.option for setting in declared_settings()]
    names += [flag for setting in declared_settings() for flag in setting.about.flags]
    names += [
        "--" + alias.replace("_", "-") for setting in declared_settings() for alias in setting.about.aliases
    ]
    assert sorted(names) == sorted(set(names))


def test_every_policy_that_can_be_chosen_is_one_of_the_dispatchers() -> None:
    assert [policy_of(balance) for balance in get_args(Balance)] == list(Policy)


def test_worker_has_no_defaults_of_its_own() -> None:
    assert [field.name for field in msgspec.structs.fields(WorkerConfig) if not field.required] == []


def test_what_is_shown_of_a_default_can_be_typed() -> None:
    config = AppConfig(target="a:b", name="a")
    for setting in declared_settings():
        value = getattr(config, setting.name)
        if setting.is_flag or setting.is_map or setting.is_list:
            continue
        assert parse_setting(setting, format_setting(setting, value)) == value, setting.name
