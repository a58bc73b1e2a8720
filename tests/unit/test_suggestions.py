"""Did you mean: near words are named, far ones are not."""

from fastlb.supervisor.suggestions import did_you_mean, nearest


def test_near_word_is_found_whatever_its_case() -> None:
    assert nearest("Shopp", ["blog", "shop"]) == "shop"


def test_far_word_is_not_named() -> None:
    assert nearest("xyz", ["blog", "shop"]) is None
    assert did_you_mean("xyz", ["blog", "shop"]) == ""


def test_suggestion_is_a_question() -> None:
    assert did_you_mean("shp", ["shop"]) == "; did you mean shop?"
