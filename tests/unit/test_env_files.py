"""Files of variables: their form, what counts more, and what is refused."""

from pathlib import Path

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.processes.env_files import MOST_BYTES, read_env_files


def variables(directory: Path, *texts: str, known: dict[str, str] | None = None) -> dict[str, str]:
    """Return the variables of files with these contents."""
    for number, text in enumerate(texts):
        (directory / f"{number}.env").write_text(text)
    return read_env_files([f"{number}.env" for number in range(len(texts))], str(directory), known or {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1", {"A": "1"}),
        ("export A=1\n\n# a comment\nB='two words' # why\n", {"A": "1", "B": "two words"}),
        ('A="line\\nline"', {"A": "line\nline"}),
        ('A="two\nlines"', {"A": "two\nlines"}),
        ("A=x=y", {"A": "x=y"}),
        ("A=", {"A": ""}),
        ("ALONE\nA=1", {"A": "1"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=1\nB=${A}2 \nC=${NO:-default}", {"A": "1", "B": "12", "C": "default"}),
        ("A=${HOME}/x", {"A": "/srv/x/x"}),
        ("A=$HOME", {"A": "$HOME"}),
        ("", {}),
    ],
)
def test_form_is_that_of_dotenv(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    assert variables(tmp_path, text, known={"HOME": "/srv/x"}) == expected


def test_later_file_counts_more_and_knows_the_earlier_one(tmp_path: Path) -> None:
    assert variables(tmp_path, "A=1\nB=1", "B=2\nC=${A}") == {"A": "1", "B": "2", "C": "1"}


@pytest.mark.parametrize(
    ("text", "message"), [("A=1\nB C=2\n", "line 2 is not NAME=VALUE"), ("A='never ends", "line 1 is not")]
)
def test_line_that_is_no_variable_is_refused_by_number(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"--env-file .*/0.env: {message}"):
        variables(tmp_path, text)


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--env-file /.*/no\.env cannot be read: No such file"):
        read_env_files(["no.env"], str(tmp_path), {})
    (tmp_path / "bytes.env").write_bytes(b"A=\xff")
    with pytest.raises(UsageError, match="byte 2 is not UTF-8"):
        read_env_files(["bytes.env"], str(tmp_path), {})
    with pytest.raises(UsageError, match="cannot be read: "):
        read_env_files(["."], str(tmp_path), {})
    (tmp_path / "large.env").write_bytes(b"A=" + b"x" * MOST_BYTES)
    with pytest.raises(UsageError, match="larger than 1M"):
        read_env_files(["large.env"], str(tmp_path), {})
