"""Lines of log files are found from either end, however long they are, and packed files as well."""

import gzip
import os
from pathlib import Path

import pytest
from fastlb.cli.log_view.chains import Chain
from fastlb.cli.log_view.reading import BLOCK_BYTES, PIECE_BYTES, lines_backward, pieces_forward
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SLOW_IS_FINE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
# Around the sizes of blocks as well as short.
LINES = st.lists(
    st.one_of(st.binary(max_size=12), st.integers(BLOCK_BYTES - 3, BLOCK_BYTES + 3).map(lambda size: b"x" * size)).map(
        lambda line: line.replace(b"\n", b"")
    ),
    max_size=12,
)


def backward(path: Path, end: int | None = None) -> list[tuple[int, bytes]]:
    with path.open("rb") as file:
        return list(lines_backward(file.fileno(), path.stat().st_size if end is None else end))


@SLOW_IS_FINE
@given(lines=LINES, ends_with_newline=st.booleans())
def test_lines_are_the_same_from_both_ends(tmp_path: Path, lines: list[bytes], ends_with_newline: bool) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\n".join(lines) + (b"\n" if ends_with_newline and lines else b""))
    content = path.read_bytes()
    wanted = content.removesuffix(b"\n").split(b"\n") if content else []
    found = backward(path)[::-1]
    assert [line for _, line in found] == wanted
    with path.open("rb") as file:
        assert [(piece.start, piece.data) for piece in pieces_forward(file, 0, None)] == found
    if found:
        middle = found[len(found) // 2][0]
        with path.open("rb") as file:
            later = [(piece.start, piece.data) for piece in pieces_forward(file, middle, len(content))]
        assert later == [entry for entry in found if entry[0] >= middle]
        assert backward(path, middle)[::-1] == [entry for entry in found if entry[0] < middle]


def test_very_long_line_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log"
    long = b"a" + b"x" * (5 * PIECE_BYTES // 2)
    path.write_bytes(b"first\n" + long + b"\nlast\n")
    assert [line for _, line in backward(path)] == [b"last", long[:PIECE_BYTES], b"first"]
    with path.open("rb") as file:
        pieces = list(pieces_forward(file, 0, None))
    assert b"".join(piece.data for piece in pieces) == b"first" + long + b"last"
    assert max(len(piece.data) for piece in pieces) == PIECE_BYTES
    assert [(piece.is_first, piece.is_last) for piece in pieces] == [
        *((True, True), (True, False), (False, False), (False, True), (True, True))
    ]


def texts(chain: Chain) -> list[bytes]:
    """Return all lines of a chain, the last first."""
    number, found = 0, []
    while part := chain.part(number):
        found += [line for _, line in part.backward()]
        number += 1
    chain.close()
    return found


def rotated(path: Path, second: int) -> Path:
    return path.with_name(f"{path.stem}__2026-03-01_12-00-{second:02}{path.suffix}")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the path of a log with two rotated files, the older of which is packed."""
    path = tmp_path / "app-out.log"
    rotated(path, 1).with_suffix(".log.gz").write_bytes(gzip.compress(b"1\n2\n"))
    rotated(path, 2).write_bytes(b"3\n4\n")
    path.write_bytes(b"5\n6\n")
    return path


def test_chain_goes_on_in_rotated_files(log: Path) -> None:
    assert texts(Chain(log)) == [b"6", b"5", b"4", b"3", b"2", b"1"]


def test_damaged_packed_file_gives_what_can_be_read(log: Path) -> None:
    packed = rotated(log, 1).with_suffix(".log.gz")
    packed.write_bytes(gzip.compress(b"1\n2\n")[:-8])
    assert texts(Chain(log))[-2:] == [b"2", b"1"]
    packed.write_bytes(b"no gzip at all")
    assert texts(Chain(log)) == [b"6", b"5", b"4", b"3"]


def test_log_that_was_just_rotated_away_is_read(log: Path) -> None:
    log.rename(rotated(log, 3))
    assert texts(Chain(log)) == [b"6", b"5", b"4", b"3", b"2", b"1"]


def test_file_that_is_rotated_while_it_is_read_is_read_once(log: Path) -> None:
    chain = Chain(log)
    newest = chain.part(0)
    assert newest
    log.rename(rotated(log, 3))
    log.write_bytes(b"7\n")
    assert texts(chain) == [b"6", b"5", b"4", b"3", b"2", b"1"]


@pytest.mark.parametrize("is_rotated_meanwhile", [False, True])
def test_only_what_was_there_when_following_began_is_read(log: Path, is_rotated_meanwhile: bool) -> None:
    status = log.stat()
    ends = {(status.st_dev, status.st_ino): 2}
    if is_rotated_meanwhile:
        os.rename(log, rotated(log, 3))
        log.write_bytes(b"7\n8\n")
    assert texts(Chain(log, ends)) == [b"5", b"4", b"3", b"2", b"1"]
