"""Owns how files of the kernel are read: proc(5), and its documentation where one is named. Pure; the user's shell.

A line that is not understood is left out: what is missing is said by whoever wants it.
"""

import re
import socket
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ESTABLISHED, TIME_WAIT, LISTEN = 0x01, 0x06, 0x0A  # include/net/tcp_states.h
UNLIMITED = 1 << 60


@dataclass(frozen=True)
class CpuTimes:
    """What all CPUs have done since the boot, in ticks. `steal`: what the hypervisor gave to others meanwhile."""

    total: int
    steal: int


@dataclass(frozen=True)
class TcpRow:
    """A socket of /proc/net/tcp or tcp6; hosts as texts, an IPv4 address in IPv6 as IPv4."""

    local: tuple[str, int]
    remote: tuple[str, int]
    state: int


def read_counters(text: str) -> dict[str, int]:
    """Return the counters of /proc/net/netstat and snmp, as `TcpExt.ListenDrops`: a line of names, one of values."""
    found: dict[str, int] = {}
    lines = text.splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        group, _, rest = names.partition(":")
        numbers = values.partition(":")[2].split()
        found |= {
            f"{group}.{name}": int(number)
            for name, number in zip(rest.split(), numbers, strict=False)
            if number.lstrip("-").isdigit()
        }
    return found


def read_cpu_times(text: str) -> CpuTimes | None:
    """Return the first line of /proc/stat; None: there is none. Time of guests is in that of users already."""
    words = text.partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu":
        return None
    ticks = [int(word) for word in words[1:9]]
    return CpuTimes(sum(ticks), ticks[7])


def read_named(text: str) -> dict[str, int]:
    """Return the figures of /proc/meminfo, vmstat, PID/status: `SwapFree:  12 kB`, `pswpin 7`; those in kB as bytes."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) in (2, 3) and words[1].isdigit():
            found[words[0].rstrip(":")] = int(words[1]) * (1024 if words[2:] == ["kB"] else 1)
    return found


def read_descriptor_limit(text: str) -> int | None:
    """Return the soft limit of open files of /proc/PID/limits; UNLIMITED: none; None: it is not there."""
    match = re.search(r"^Max open files\s+(\S+)", text, re.MULTILINE)
    if match is None:
        return None
    return int(match[1]) if match[1].isdigit() else UNLIMITED


def read_release(text: str) -> tuple[int, int] | None:
    """Return (6, 18) of `6.18.44-generic`; None: it looks otherwise."""
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def read_tcp_rows(lines: Iterable[str]) -> Iterator[TcpRow]:
    """Yield the sockets of /proc/net/tcp or tcp6 (the kernel's proc_net_tcp.rst)."""
    for line in lines:
        words = line.split()
        if len(words) > 3 and words[0].endswith(":") and ":" in words[1]:
            yield TcpRow(_endpoint(words[1]), _endpoint(words[2]), int(words[3], 16))


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return _host(host), int(port, 16)


def _host(text: str) -> str:
    """An address is written as numbers of 32 bits, each in the byte order of the machine."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    raw = b"".join(words)
    return plain_host(raw)


def plain_host(raw: bytes) -> str:
    """Return the text of an address of 4 or 16 bytes; one of IPv4 in IPv6 (RFC 4291 2.5.5.2) as IPv4."""
    if len(raw) == 16 and raw[:12] == bytes(10) + b"\xff\xff":
        raw = raw[12:]
    return socket.inet_ntop(socket.AF_INET6 if len(raw) == 16 else socket.AF_INET, raw)
