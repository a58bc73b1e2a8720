"""Lines of Node's cluster protocol: what each says, what means nothing, and the exact lines that we answer."""

import json
from typing import Any

import msgspec
import pytest
from fastlb.supervisor.node.messages import (
    Close,
    ExitedAfterDisconnect,
    HandleSent,
    Listening,
    NodeMessage,
    Online,
    QueryServer,
    SocketName,
    SocketQuestion,
    UserMessage,
    decode_line,
    encode_acknowledgement,
    encode_no_sockets,
    encode_refusal,
    encode_server,
    encode_shared_server,
    encode_user_message,
)
from hypothesis import given
from hypothesis import strategies as st

QUERY = QueryServer(seq=7, index=2, address="127.0.0.1", port=3000, address_type=4, data=None)
CLOSE_QUESTION = SocketQuestion("NODE_SOCKET_NOTIFY_CLOSE", "6::::3000")
COUNT_QUESTION = SocketQuestion("NODE_SOCKET_GET_COUNT", "6::::3000")
DEEP = 100_000


def cluster(**fields: Any) -> bytes:
    return json.dumps({"cmd": "NODE_CLUSTER", **fields}).encode()


# As node 20 writes them.
LINES: list[tuple[bytes, NodeMessage]] = [
    (b'{"cmd":"NODE_CLUSTER","act":"online","seq":0}', Online()),
    (
        b'{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":3000,'
        b'"addressType":4,"backlog":0,"seq":1}',
        QueryServer(seq=1, port=3000, address_type=4, backlog=0),
    ),
    (
        b'{"cmd":"NODE_CLUSTER","act":"queryServer","index":1,"data":"dGlja2V0","address":"::1","port":0,'
        b'"addressType":6,"fd":null,"flags":1,"backlog":511,"seq":2}',
        QueryServer(seq=2, index=1, address="::1", port=0, address_type=6, flags=1, backlog=511, data="dGlja2V0"),
    ),
    (
        b'{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":"/run/app.sock","port":-1,'
        b'"addressType":-1,"readableAll":true,"writableAll":true,"seq":3}',
        QueryServer(seq=3, address="/run/app.sock", port=-1, address_type=-1, readable_all=True, writable_all=True),
    ),
    (
        b'{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"address":null,"port":null,"addressType":null,"fd":3,"seq":4}',
        QueryServer(seq=4, fd=3),
    ),
    (
        b'{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"address":"0.0.0.0","port":53,"addressType":"udp4","seq":5}',
        QueryServer(seq=5, address="0.0.0.0", port=53, address_type="udp4"),
    ),
    (
        b'{"cmd":"NODE_CLUSTER","act":"listening","index":0,"data":null,"address":null,"port":3000,"addressType":4,"seq":6}',
        Listening(port=3000, address_type=4),
    ),
    (b'{"cmd":"NODE_CLUSTER","act":"close","key":"1","seq":7}', Close("1")),
    (b'{"cmd":"NODE_CLUSTER","act":"exitedAfterDisconnect","seq":8}', ExitedAfterDisconnect(8)),
    (b'{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{"here":"it is"}}', HandleSent()),
    (b'{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":"6::::3000"}', CLOSE_QUESTION),
    (b'{"cmd":"NODE_SOCKET_GET_COUNT","key":"6::::3000"}', COUNT_QUESTION),
    (b'"ready"', UserMessage("ready")),
    (b"null", UserMessage(None)),
    (b"17", UserMessage(17)),
    (b"[1,null]", UserMessage([1, None])),
    (b'{"type":"process:msg","data":{"a":1}}', UserMessage({"type": "process:msg", "data": {"a": 1}})),
    (b'{"cmd":"online"}', UserMessage({"cmd": "online"})),
    (b'{"cmd":5}', UserMessage({"cmd": 5})),
]


@pytest.mark.parametrize(("line", "message"), LINES)
def test_line_of_node_is_understood(line: bytes, message: NodeMessage) -> None:
    assert decode_line(line) == message


@pytest.mark.parametrize("backlog", [False, None, 0, 511, "511", 1.5, [], {}])
def test_backlog_may_be_whatever_the_app_gave(backlog: object) -> None:
    """Node checks nothing: for listen(port, host, callback) it says False."""
    line = cluster(act="queryServer", seq=1, port=3000, addressType=4, backlog=backlog, readableAll="yes")
    assert decode_line(line) == QueryServer(seq=1, port=3000, address_type=4, backlog=backlog, readable_all="yes")


def test_port_of_a_udp_server_may_be_a_text() -> None:
    line = cluster(act="queryServer", seq=1, port="5353", addressType="udp4", fd=-1)
    assert decode_line(line) == QueryServer(seq=1, port=5353, address_type="udp4", fd=-1)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"   ",
        b"{",
        b"ready",
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b"1 2",
        b"NaN",
        cluster(),
        cluster(act=None),
        cluster(act="fork"),
        cluster(act=["online"]),
        cluster(act={}),
        cluster(act="queryServer"),
        cluster(act="queryServer", seq="one"),
        cluster(act="queryServer", seq=1, port="http"),
        cluster(act="queryServer", seq=1, port=3.5),
        cluster(act="queryServer", seq=1, address=3000),
        cluster(act="queryServer", seq=1, fd=True),
        cluster(act="queryServer", seq=1, addressType=[4]),
        cluster(act="close"),
        cluster(act="close", key=1),
        cluster(act="exitedAfterDisconnect"),
        cluster(ack=1, accepted=True),
        b'{"cmd":"NODE_SOCKET_GET_COUNT"}',
        b'{"cmd":"NODE_SOCKET_NOTIFY_CLOSE","key":{}}',
        b'{"cmd":"NODE_DEBUG_ENABLED"}',
        b'{"cmd":"NODE_"}',
    ],
)
def test_line_that_does_not_fit_is_no_message(line: bytes) -> None:
    assert decode_line(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1,"data":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    ],
)
def test_nesting_without_end_is_no_message(line: bytes) -> None:
    assert decode_line(line) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(line: bytes) -> None:
    decode_line(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("seq", "index", "address", "port", "addressType", "fd", "flags", "backlog", "data", "key", "readableAll")
ACTS = st.sampled_from(["online", "queryServer", "listening", "close", "exitedAfterDisconnect", "worker"])


@given(ACTS | JSON, st.dictionaries(st.sampled_from(NAMES), JSON))
def test_no_cluster_message_raises(act: object, fields: dict[str, object]) -> None:
    message = decode_line(cluster(act=act, **fields))
    assert not isinstance(message, UserMessage)


@given(JSON)
def test_every_value_of_an_app_is_understood_or_internal(value: object) -> None:
    message = decode_line(json.dumps(value).encode())
    assert message is None or isinstance(message, UserMessage | HandleSent)


@given(JSON)
def test_what_we_write_is_one_line(value: object) -> None:
    for line in (encode_user_message(value), encode_server(QUERY, 1, value, None)):
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        json.loads(line)


def test_answers_are_those_of_nodes_primary() -> None:
    name = SocketName("127.0.0.1", "IPv4", 3000)
    assert encode_server(QUERY, 5, None, name) == (
        b'{"cmd":"NODE_CLUSTER","errno":null,"key":"5","ack":7,"data":null,'
        b'"sockname":{"address":"127.0.0.1","family":"IPv4","port":3000}}\n'
    )
    assert encode_server(QUERY, 0, "dGlja2V0", None) == (
        b'{"cmd":"NODE_CLUSTER","errno":null,"key":"0","ack":7,"data":"dGlja2V0"}\n'
    )
    assert encode_shared_server(QUERY, 64) == (
        b'{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":'
        b'{"cmd":"NODE_CLUSTER","errno":0,"key":"64","ack":7,"data":null}}\n'
    )
    assert encode_refusal(QUERY, 98) == b'{"cmd":"NODE_CLUSTER","errno":-98,"key":"","ack":7,"data":null}\n'
    assert encode_acknowledgement(7) == b'{"cmd":"NODE_CLUSTER","ack":7}\n'
    assert encode_no_sockets(CLOSE_QUESTION) == b'{"cmd":"NODE_SOCKET_ALL_CLOSED","key":"6::::3000"}\n'
    assert encode_no_sockets(COUNT_QUESTION) == b'{"cmd":"NODE_SOCKET_COUNT","key":"6::::3000","count":0}\n'
    assert encode_user_message("shutdown") == b'"shutdown"\n'


def test_refusal_gives_the_app_its_own_data_back() -> None:
    query = msgspec.structs.replace(QUERY, data={"keys": [1]})
    assert json.loads(encode_refusal(query, 13))["data"] == {"keys": [1]}
