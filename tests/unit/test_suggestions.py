"""Did you mean: near words are named, far ones are not."""

import pytest
from fastlb.cli.main import ALIASES, COMMANDS
from fastlb.cli.other_tools import COMMANDS as COMMANDS_ELSEWHERE
from fastlb.cli.other_tools import OPTIONS as OPTIONS_ELSEWHERE
from fastlb.supervisor.settings.declared import declared_settings
from fastlb.supervisor.suggestions import DESTRUCTIVE, did_you_mean, harmless, nearest


def test_near_word_is_found_whatever_its_case() -> None:
    assert nearest("Shopp", ["blog", "shop"]) == "shop"


def test_far_word_is_not_named() -> None:
    assert nearest("xyz", ["blog", "shop"]) is None
    assert did_you_mean("xyz", ["blog", "shop"]) == ""


@pytest.mark.parametrize(
    "words",
    [
        ("nomodule", "mdurl"),
        ("worker", "core"),
        ("main", "email"),
        ("save", "scale"),
        ("reset", "restart"),
        ("deploy", "del"),
        ("--pid", "--bind"),
        ("--max-requests", "--max-restarts"),
    ],
)
def test_word_that_nobody_meant_is_not_named(words: tuple[str, str]) -> None:
    typed, known = words
    assert nearest(typed, [known]) is None


@pytest.mark.parametrize("words", [("shpo", "shop"), ("relaod", "reload"), ("aap", "app"), ("sever", "server")])
def test_usual_slips_are_understood(words: tuple[str, str]) -> None:
    typed, meant = words
    assert nearest(typed, ["blog", meant]) == meant


def test_suggestion_is_a_question() -> None:
    assert did_you_mean("shp", ["shop"]) == "; did you mean shop?"


def test_beginning_of_one_word_only_is_understood() -> None:
    assert nearest("leastconn", ["round-robin", "least-connections"]) == "least-connections"
    assert nearest("--reload", ["--reload-delay", "--reload-settle"]) is None


def test_time_is_bounded_whatever_is_typed() -> None:
    assert nearest("x" * 1_000_000, ["shop", "y" * 1_000_000]) is None


def test_no_command_that_ends_an_app_is_proposed() -> None:
    proposable = harmless([*COMMANDS, *ALIASES])
    assert {*COMMANDS, *ALIASES} >= DESTRUCTIVE
    assert {ALIASES.get(name, name) for name in proposable} & {ALIASES.get(name, name) for name in DESTRUCTIVE} == set()


def test_names_of_other_tools_are_no_names_of_ours() -> None:
    options = {setting.option for setting in declared_settings()}
    options |= {flag for setting in declared_settings() for flag in setting.about.flags}
    options |= {f"--{alias.replace('_', '-')}" for setting in declared_settings() for alias in setting.about.aliases}
    assert options & OPTIONS_ELSEWHERE.keys() == set()
    assert {*COMMANDS, *ALIASES} & COMMANDS_ELSEWHERE.keys() == set()
