"""What is a PROXY header of version 1 or 2, exact to the byte; and what no bytes whatever can do to its reader."""

import ipaddress
import re
import socket
import struct

import pytest
from fastlb.lb.opening.proxy_protocol import MOST_BYTES, parse
from hypothesis import example, given
from hypothesis import strategies as st

UNFINISHED, MALFORMED = ("unfinished", 0, None), ("malformed", 0, None)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TCP4, TCP6, UDP4, UNIX = 0x11, 0x21, 0x12, 0x31
V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 56324, 443)
V6 = ipaddress.ip_address("2001:db8::7").packed + bytes(16) + struct.pack("!HH", 56324, 443)
LINE = re.compile(
    rb"PROXY (?:(?P<unknown>UNKNOWN(?: [^\r]*)?)|TCP(?P<family>[46]) (\S+) (\S+) (\d{1,5}) (\d{1,5}))\r\n"
)


def binary(family: int, addresses: bytes, command: int = 0x21, more: bytes = b"") -> bytes:
    rest = addresses + more
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


def text(source: str, target: str, ports: str = "56324 443", family: str = "TCP4") -> bytes:
    return f"PROXY {family} {source} {target} {ports}\r\n".encode()


WHOLE = [
    (text("192.0.2.7", "192.0.2.1"), (V4[:4], 56324)),
    (text("255.255.255.255", "255.255.255.255", "65535 65535"), (b"\xff" * 4, 65535)),
    (text("2001:db8::7", "::", "0 0", "TCP6"), (V6[:16], 0)),
    (text(":".join(["ffff"] * 8), ":".join(["FFFF"] * 8), "65535 65535", "TCP6"), (b"\xff" * 16, 65535)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None),
    (binary(TCP4, V4), (V4[:4], 56324)),
    (binary(TCP6, V6), (V6[:16], 56324)),
    (binary(TCP4, V4, more=b"\x04\0\x03abc"), (V4[:4], 56324)),
    (binary(TCP4, V4, more=bytes(MOST_BYTES - 28)), (V4[:4], 56324)),
    (binary(0, b"", 0x20), None),
    (binary(0xFF, bytes(40), 0x20), None),
    (binary(0, bytes(9)), None),
    (binary(UDP4, V4), None),
    (binary(UNIX, bytes(216)), None),
]


@pytest.mark.parametrize(("header", "client"), WHOLE, ids=lambda value: None)
def test_header_is_whole_at_its_end_whatever_follows(header: bytes, client: tuple[bytes, int] | None) -> None:
    assert parse(header) == ("whole", len(header), client)
    assert parse(header + b"GET / HTTP/1.1\r\n\r\n") == ("whole", len(header), client)
    lengths = range(len(header)) if len(header) < 300 else (0, 1, 15, 16, 300, len(header) - 1)
    assert {parse(header[:length]) for length in lengths} == {UNFINISHED}


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01",
        b"proxy TCP4 ",
        b"PROXY  TCP4 192.0.2.7 192.0.2.1 1 2\r\n",
        text("192.0.2.7", "192.0.2.1")[:-2] + b"\n",
        text("192.0.2.7", "192.0.2.1")[:-2] + b"\rX",
        text("192.0.2.7", "192.0.2.1", "56324  443"),
        text("192.0.2.7", "192.0.2.1", "56324 443 "),
        text("192.0.2.7", "192.0.2.1", "56324"),
        text("192.0.2.7", "192.0.2.1", "65536 443"),
        text("192.0.2.7", "192.0.2.1", "056 443"),
        text("192.0.2.7", "192.0.2.1", "-1 443"),
        text("192.0.2.07", "192.0.2.1"),
        text("192.0.2", "192.0.2.1"),
        text("192.0.2.7\0", "192.0.2.1"),
        text("2001:db8::7", "::1"),
        text("192.0.2.7", "192.0.2.1", family="TCP6"),
        text("192.0.2.7", "192.0.2.1", family="UDP4"),
        text("fe80::1%lo", "::1", family="TCP6"),
        b"PROXY UNKNOWNX\r\n",
        b"PROXY \r\n",
        b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
        b"PROXY TCP4 " + b"1" * 200,
        SIGNATURE + b"\x11",
        SIGNATURE + b"\x22\x11\0\x0c" + V4,
        binary(0x41, V4),
        binary(0x13, V4),
        binary(TCP4, V4[:11]),
        binary(TCP6, V6[:35]),
        binary(TCP4, V4, more=bytes(MOST_BYTES - 27)),
        SIGNATURE[:-1] + b"\r",
    ],
)  # fmt: skip
def test_what_is_not_exactly_a_header_is_none(data: bytes) -> None:
    assert parse(data) == MALFORMED


def by_the_text(data: bytes) -> tuple[str, int, tuple[bytes, int] | None]:
    """Read a whole line of version 1 as doc/proxy-protocol.txt has it, by other means."""
    found = LINE.match(data)
    if found is None or found.end() > 107:
        return MALFORMED
    if found["unknown"]:
        return "whole", found.end(), None
    kind = ipaddress.IPv4Address if found["family"] == b"4" else ipaddress.IPv6Address
    ports = found.group(5, 6)
    try:
        source, _ = (kind(address.decode()) for address in found.group(3, 4))
    except ValueError:
        return MALFORMED
    if b"%" in found[3] + found[4] or any(str(int(port)).encode() != port or int(port) > 65535 for port in ports):
        return MALFORMED
    return "whole", found.end(), (source.packed, int(ports[0]))


ADDRESSES = st.one_of(
    st.ip_addresses().map(str), st.from_regex(r"[0-9a-fA-F:.]{0,45}", fullmatch=True), st.just("::ffff:192.0.2.7")
)
PORTS = st.one_of(st.integers(0, 70000).map(str), st.from_regex(r"[0-9 ]{0,7}", fullmatch=True))
LINES = st.tuples(st.sampled_from(["TCP4", "TCP6", "UNKNOWN", "UDP4"]), ADDRESSES, ADDRESSES, PORTS, PORTS)


@given(LINES, st.binary(max_size=20))
def test_lines_are_read_as_by_other_means(parts: tuple[str, ...], rest: bytes) -> None:
    data = f"PROXY {' '.join(parts)}\r\n".encode() + rest
    assert parse(data) == by_the_text(data)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]))
@example(b"", b"")
def test_no_bytes_are_read_beyond_their_end(data: bytes, begin: bytes) -> None:
    verdict, length, _ = parse(begin + data)
    assert (verdict == "whole") is (length > 0)
    assert length <= min(len(begin + data), MOST_BYTES)
    for cut in range(0, length):
        assert parse((begin + data)[:cut]) == UNFINISHED, "a header does not end twice"
