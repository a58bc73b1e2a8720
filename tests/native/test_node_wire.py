"""Node's cluster protocol as text: what a worker's line is, how a connection is announced; exact to the byte."""

import json
import re

import pytest
from fastlb.lb.node.wire import announce, classify
from hypothesis import example, given
from hypothesis import strategies as st

OTHER = "other"
EXACT_LIMIT = 2**53  # above it JavaScript's numbers have gaps
VERDICT = b'{"cmd":"NODE_CLUSTER","ack":%b,"accepted":%b,"seq":7}'
KNOWN_LINES = [
    b'{"cmd":"NODE_HANDLE_ACK"}',
    b'{"cmd":"NODE_HANDLE_NACK"}',
    b'{"cmd":"NODE_HANDLE","type":"net.Socket","msg":null}',
    VERDICT % (b"12", b"true"),
    VERDICT % (b"12", b"false"),
]


def test_answers_of_node_are_known() -> None:
    assert [classify(line) for line in KNOWN_LINES] == [
        ("received", 0),
        ("missed", 0),
        ("handle", 0),
        ("accepted", 12),
        ("refused", 12),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b'{"cmd":"NODE_CLUSTER","act":"online","seq":0}',
        b'{"cmd":"NODE_CLUSTER","ack":3,"seq":7}',
        b'{"cmd":"NODE_CLUSTER","ack":3,"errno":null,"seq":7}',
        b'{"cmd":"NODE_CLUSTER","act":"listening","port":3000,"seq":2}',
        b'{"cmd":"NODE_HANDLE_ACK","more":1}',
        b'{"cmd":"NODE_HANDLE_NACK"}\r',
        b'{"cmd":"NODE_HANDLE_ACK"} ',
        b'{"cmd":"node_handle_ack"}',
        b'"ready"',
        b"null",
        b"",
        b"{",
        b'"{\\"cmd\\":\\"NODE_HANDLE_ACK\\"}"',
    ],
)
def test_everything_else_is_for_the_supervisor(line: bytes) -> None:
    assert classify(line)[0] == OTHER


@pytest.mark.parametrize("line", KNOWN_LINES)
def test_line_behind_something_else_is_another(line: bytes) -> None:
    for before in (b" ", b"\0", b"\t", b"[", b'"', b"\xef\xbb\xbf"):
        assert classify(before + line)[0] == OTHER


@pytest.mark.parametrize("line", KNOWN_LINES)
def test_begin_of_a_line_is_not_the_line(line: bytes) -> None:
    kinds = {classify(line[:length])[0] for length in range(len(line))}
    assert kinds <= {OTHER, classify(line)[0]}
    assert classify(line[:19])[0] == OTHER


def test_short_verdict_claims_no_connection() -> None:
    line = VERDICT % (b"12", b"true")
    named = line.index(b"true") + len(b"true")
    assert all(classify(line[:length])[0] == OTHER for length in range(named))


@pytest.mark.parametrize("value", [b"truex", b"falsey", b"trueish", b'"true"', b"1", b"null", b" true", b"TRUE"])
def test_value_that_only_begins_like_a_verdict_is_none(value: bytes) -> None:
    assert classify(VERDICT % (b"12", value))[0] == OTHER


@pytest.mark.parametrize("value", [b"true", b"false"])
def test_verdict_may_stand_last(value: bytes) -> None:
    kind = {b"true": "accepted", b"false": "refused"}[value]
    assert classify(b'{"cmd":"NODE_CLUSTER","ack":12,"accepted":%b}' % value) == (kind, 12)


@pytest.mark.parametrize(
    "number",
    [b"", b"-1", b"+1", b" 1", b"1 ", b"1.0", b"1e3", b"0x10", b'"1"', b"null", b"9" * 17, b"9" * 400, b"\xb2"],
)
def test_number_that_is_none_of_ours_names_no_connection(number: bytes) -> None:
    assert classify(VERDICT % (number, b"true"))[0] == OTHER


@pytest.mark.parametrize("number", [0, 1, 2**32, 2**32 + 1, EXACT_LIMIT - 1])
def test_number_comes_back_as_it_was(number: int) -> None:
    assert classify(VERDICT % (str(number).encode(), b"true")) == ("accepted", number)


@given(number=st.integers(min_value=0, max_value=2**70))
def test_every_number_is_read_exactly_or_not_at_all(number: int) -> None:
    kind, read = classify(VERDICT % (str(number).encode(), b"false"))
    assert (kind, read) == ("refused", number) if number < EXACT_LIMIT else kind == OTHER or read == number


@given(line=st.binary(max_size=300))
@example(b'{"cmd":"NODE_CLUSTER","ack":')
@example(b'{"cmd":"NODE_CLUSTER","ack":7')
@example(b'{"cmd":"NODE_CLUSTER","ack":7,"accepted":')
def test_random_bytes_are_nothing(line: bytes) -> None:
    assert classify(line)[0] == OTHER


@given(
    line=st.sampled_from(KNOWN_LINES),
    at=st.integers(min_value=0, max_value=60),
    noise=st.binary(min_size=1, max_size=4),
)
def test_no_number_is_claimed_that_is_not_there(line: bytes, at: int, noise: bytes) -> None:
    spoiled = line[:at] + noise + line[at + len(noise) :]
    kind, number = classify(spoiled)
    claimed = re.match(rb'\{"cmd":"NODE_CLUSTER","ack":(\d{1,16}),"accepted":(true|false)[,}]', spoiled)
    assert (kind in ("accepted", "refused")) == (claimed is not None)
    assert claimed is None or number == int(claimed[1])


@pytest.mark.parametrize("number", [1, 2**32 + 1, EXACT_LIMIT - 1, 2**64 - 1])
@pytest.mark.parametrize("key", [0, 7, 2**32 - 1])
def test_connection_is_announced_as_node_does_it(key: int, number: int) -> None:
    line = announce(key, number)
    assert line == (
        b'{"cmd":"NODE_HANDLE","type":"net.Native","msg":'
        b'{"cmd":"NODE_CLUSTER","act":"newconn","key":"%d","seq":%d}}\n' % (key, number)
    )
    assert json.loads(line)["msg"]["seq"] == number
    assert len(line) <= 160  # ANNOUNCEMENT_BYTES
