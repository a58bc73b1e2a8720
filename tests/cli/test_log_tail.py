"""The last lines of a file, however large, and only up to where following begins."""

from pathlib import Path

import pytest
from fastlb.cli.log_tail import BLOCK_BYTES, last_lines


@pytest.mark.parametrize(
    ("content", "count", "lines"),
    [
        (b"", 5, []),
        (b"a\nb\nc\n", 2, ["b", "c"]),
        (b"a\nb\nc", 2, ["b", "c"]),
        (b"a\n", 5, ["a"]),
        (b"a\n\n\n", 2, ["", ""]),
        (b"a\nb\n", 0, []),
        (b"\xff\xfe\n", 1, ["\ufffd\ufffd"]),
    ],
)
def test_last_lines_are_whole(tmp_path: Path, content: bytes, count: int, lines: list[str]) -> None:
    (tmp_path / "log").write_bytes(content)
    assert last_lines(tmp_path / "log", count) == lines


def test_lines_longer_than_a_block_are_whole(tmp_path: Path) -> None:
    long = "x" * (3 * BLOCK_BYTES)
    (tmp_path / "log").write_text(f"first\n{long}\nlast\n")
    assert last_lines(tmp_path / "log", 2) == [long, "last"]


def test_what_comes_after_the_end_is_left_to_the_follower(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a\nb\nc\n")
    assert last_lines(tmp_path / "log", 5, end_bytes=4) == ["a", "b"]


def test_missing_file_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none", 5) == []
