"""Did you mean: near words are named, far ones are not."""

import pytest
from fastlb.supervisor.suggestions import did_you_mean, nearest


def test_near_word_is_found_whatever_its_case() -> None:
    assert nearest("Shopp", ["blog", "shop"]) == "shop"


def test_far_word_is_not_named() -> None:
    assert nearest("xyz", ["blog", "shop"]) is None
    assert did_you_mean("xyz", ["blog", "shop"]) == ""


@pytest.mark.parametrize("words", [("nomodule", "mdurl"), ("worker", "core")])
def test_word_that_nobody_meant_is_not_named(words: tuple[str, str]) -> None:
    typed, known = words
    assert nearest(typed, [known]) is None


@pytest.mark.parametrize("words", [("shpo", "shop"), ("relaod", "reload"), ("aap", "app"), ("sever", "server")])
def test_usual_slips_are_understood(words: tuple[str, str]) -> None:
    typed, meant = words
    assert nearest(typed, ["blog", meant]) == meant


def test_suggestion_is_a_question() -> None:
    assert did_you_mean("shp", ["shop"]) == "; did you mean shop?"
