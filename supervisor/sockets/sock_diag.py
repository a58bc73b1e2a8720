"""Owns the form of questions to the kernel about sockets, and of its answers: sock_diag(7), netlink(7).

Runs in the supervisor and in the user's shell. Nobody needs to be root for it; it changes nothing.
"""

import socket
import struct
from collections.abc import Iterator

SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
SOCK_DIAG_BY_FAMILY, DONE, ERROR = 20, 3, 2
REQUEST_ONE, REQUEST_ALL = 0x1, 0x301  # NLM_F_REQUEST, with NLM_F_DUMP
ANSWER_SECONDS = 2.0
LONGEST_ANSWER = 1 << 16
# linux/sock_diag.h: of the numbers of SO_MEMINFO, and of INET_DIAG_SKMEMINFO, this one is sk_drops.
MEMINFO_NUMBERS, DROPS = 9, 8
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


def answers(question: bytes, flags: int) -> Iterator[bytes]:
    """Yield what the kernel says to a question of inet_diag_req_v2 or unix_diag_req, without heads.

    Args:
        question: the request, without a head.
        flags: REQUEST_ONE or REQUEST_ALL.

    Raises:
        OSError: the kernel, or who guards it, does not tell.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as sock:
        sock.settimeout(ANSWER_SECONDS if flags == REQUEST_ALL else 0.0)  # one answer is there at once
        sock.send(_HEADER.pack(_HEADER.size + len(question), SOCK_DIAG_BY_FAMILY, flags, 1, 0) + question)
        is_last = False
        while not is_last:
            bodies, is_last = bodies_of(sock.recv(LONGEST_ANSWER))
            yield from bodies
            is_last = is_last or flags == REQUEST_ONE


def bodies_of(data: bytes) -> tuple[list[bytes], bool]:
    """Return the messages of one datagram without their heads, and whether it is the last one.

    Raises:
        OSError: it is an error.
    """
    found: list[bytes] = []
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        if kind == DONE or length < _HEADER.size:
            return found, True
        body, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
        if kind == ERROR:
            number = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
            raise OSError(number, "the kernel does not tell of its sockets")
        found.append(body)
    return found, False


def numbers_of(attributes: bytes, kind: int, count: int) -> tuple[int, ...] | None:
    """Return the first `count` numbers of 32 bits of the attribute `kind`; None: it is not there, or shorter."""
    while len(attributes) >= _ATTRIBUTE.size:
        length, found = _ATTRIBUTE.unpack_from(attributes)
        if length < _ATTRIBUTE.size:
            return None
        if found == kind and min(length, len(attributes)) >= _ATTRIBUTE.size + 4 * count:
            return struct.unpack_from(f"={count}I", attributes, _ATTRIBUTE.size)
        attributes = attributes[(length + 3) & ~3 :]
    return None
