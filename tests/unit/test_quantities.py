"""Durations and sizes: what is understood, what is refused, and that it takes no longer than it must."""

import contextlib

import pytest
from fastlb.supervisor.settings.quantities import (
    check_unit_is_clear,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3s", 3.0),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("2h", 7200.0),
        ("1d2h3m4s5ms", 93784.005),
        ("2.5", 2.5),
        ("0", 0.0),
        ("0.5s", 0.5),
        (" 7s ", 7.0),
    ],
)
def test_duration_means(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "s", "-1", "-1s", "5x", "1m1m", "30s1m", "5 s", "1..5s", ".", "nan", "inf", "1e3", "٣s"]
)
def test_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: give 3s, 1m30s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("1536", 1536),
        ("64K", 65536),
        ("500M", 500 << 20),
        ("1.5G", 3 << 29),
        ("1kib", 1024),
        ("2TB", 2 << 40),
    ],
)
def test_size_means(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "-1", "1X", "1MM", "1M1K", "M", "1,5G", "0x10"])
def test_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size: give 500M"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_duration_that_is_shown_can_be_typed(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.integers(min_value=0, max_value=1 << 50))
def test_size_that_is_shown_can_be_typed(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for parse in (parse_duration, parse_size):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0


@pytest.mark.parametrize("text", ["5000s", "5000ms", "600", "0.5", "2h", "nonsense"])
def test_duration_with_a_unit_or_of_at_most_ten_minutes_is_clear(text: str) -> None:
    check_unit_is_clear(text)


@pytest.mark.parametrize("text", ["601", "5000", "600.5", " 5000 "])
def test_long_duration_without_a_unit_is_not_clear(text: str) -> None:
    with pytest.raises(ValueError, match=r"may mean .* or, in milliseconds, .*: type the unit"):
        check_unit_is_clear(text)
