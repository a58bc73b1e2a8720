"""How a socket is bound for a Node app: Node's rules, real sockets, the errno that the app is told."""

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.node.binding import bind_server, bind_udp, name_of
from fastlb.supervisor.node.messages import QueryServer, SocketName

from tests.support.waiting import scaled


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def tcp(address: str | None = "127.0.0.1", port: int | None = 0, **fields: Any) -> QueryServer:
    address_type = 6 if address is None or ":" in address else 4
    return QueryServer(seq=1, address=address, port=port, **{"address_type": address_type, **fields})


def udp(address: str | None = "127.0.0.1", port: int | None = 0, **fields: Any) -> QueryServer:
    return QueryServer(seq=1, address=address, port=port, **{"address_type": "udp4", **fields})


def unix(path: Path | str, **fields: Any) -> QueryServer:
    return QueryServer(seq=1, address=str(path), port=-1, address_type=-1, **fields)


def refusal(query: QueryServer) -> int | None:
    """The errno that the app is told."""
    bind = bind_udp if str(query.address_type).startswith("udp") else bind_server
    with pytest.raises(OSError, match=r"\w") as raised:
        bind(query).close()
    assert type(raised.value.errno) is int
    return raised.value.errno


def can_connect(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=scaled(2)):
            return True
    except OSError:
        return False


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask that hides nothing by chance."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_socket_is_ready_for_the_dispatcher() -> None:
    with bind_server(tcp()) as sock:
        assert not sock.getblocking()
        assert not sock.get_inheritable()
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert can_connect(*sock.getsockname())


@needs_ipv6
def test_no_address_is_both_families() -> None:
    with bind_server(tcp(None)) as sock:
        port = sock.getsockname()[1]
        assert sock.getsockname()[0] == "::"
        assert can_connect("127.0.0.1", port)
        assert can_connect("::1", port)


@needs_ipv6
def test_flag_of_ipv6_only_is_heeded() -> None:
    with bind_server(tcp("::", flags=1)) as sock:
        port = sock.getsockname()[1]
        assert can_connect("::1", port)
        assert not can_connect("127.0.0.1", port)
    with bind_server(tcp("::", flags=0)) as sock:
        assert can_connect("127.0.0.1", sock.getsockname()[1])
    with bind_server(tcp(None, flags=1)) as sock:
        assert not can_connect("127.0.0.1", sock.getsockname()[1])


def test_no_address_on_a_machine_without_ipv6_is_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def no_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real(family, kind)

    monkeypatch.setattr("fastlb.supervisor.node.binding.socket.socket", no_ipv6)
    with bind_server(tcp(None)) as sock:
        assert sock.getsockname()[0] == "0.0.0.0"


def test_port_in_use_is_the_apps_to_know() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert refusal(tcp(port=other.getsockname()[1])) == errno.EADDRINUSE
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", 0))
            assert refusal(udp(port=datagrams.getsockname()[1])) == errno.EADDRINUSE


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (tcp(port=-2), errno.EINVAL),
        (tcp(port=65536), errno.EINVAL),
        (tcp(port=1 << 70), errno.EINVAL),
        (tcp(port=None), errno.EINVAL),
        (udp(port=-1), errno.EINVAL),
        (udp(port=1 << 70), errno.EINVAL),
        (tcp("192.0.2.1"), errno.EADDRNOTAVAIL),
        (tcp("no.such.host.invalid"), errno.EINVAL),
        (tcp("127.0.0.1\0"), errno.EINVAL),
        (tcp("127.0.0.1 "), errno.EINVAL),
        (tcp("127.0.0.1", address_type=6), errno.EINVAL),
        (udp("no.such.host.invalid"), errno.EINVAL),
        (udp("\0"), errno.EINVAL),
    ],
)
def test_address_that_is_none_is_refused(query: QueryServer, expected: int) -> None:
    assert refusal(query) == expected


def test_name_is_never_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Node has resolved it already; the supervisor must not wait for a name server."""
    with bind_server(tcp("127.0.0.1")) as sock, pytest.raises(OSError, match="Invalid") as raised:
        bind_server(tcp("localhost", sock.getsockname()[1]))
    assert raised.value.errno == errno.EINVAL


def test_flags_that_nobody_knows_do_no_harm() -> None:
    with bind_server(tcp(flags=1 << 40)), bind_udp(udp(flags=1 << 40)):
        pass


@pytest.mark.parametrize("backlog", [None, 0, -5, 1, 1 << 40, False, True, "511", 1.5, []])
def test_any_backlog_is_one(backlog: object) -> None:
    with bind_server(tcp(backlog=backlog)) as sock:
        assert can_connect(*sock.getsockname())


def backlog_of(sock: socket.socket) -> int:
    """The kernel's: of a listener TCP_INFO's tcpi_sacked is the length that its queue may have (net/ipv4/tcp.c)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    return int.from_bytes(info[28:32], sys.byteorder)


@pytest.mark.parametrize(("asked", "expected"), [(None, 77), (False, 77), (0, 77), (33, 33)])
def test_backlog_is_ours_unless_the_app_wants_another(asked: object, expected: int) -> None:
    with bind_server(tcp(backlog=asked), backlog=77) as sock:
        assert backlog_of(sock) == expected


def test_unix_socket_has_the_mode_that_was_asked_for(tmp_path: Path, umask: None) -> None:
    for name, fields, mode in [
        ("plain", {}, 0o755),
        ("readable", {"readable_all": True}, 0o755),
        ("writable", {"writable_all": True}, 0o777),
        ("both", {"readable_all": True, "writable_all": True}, 0o777),
    ]:
        path = tmp_path / name
        with bind_server(unix(path, **fields)):
            assert stat.S_IMODE(path.stat().st_mode) == mode, name
    assert os.umask(0o022) == 0o022, "ours is as before"


def test_unix_path_that_exists_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    bind_server(unix(path)).close()
    assert path.is_socket(), "left behind"
    assert refusal(unix(path)) == errno.EADDRINUSE
    file = tmp_path / "file"
    file.write_text("mine")
    assert refusal(unix(file)) == errno.EADDRINUSE
    assert file.read_text() == "mine"


def test_unix_path_that_cannot_be(tmp_path: Path) -> None:
    assert refusal(unix(tmp_path / "no" / "app.sock")) == errno.ENOENT
    assert refusal(unix(tmp_path / ("x" * 300))) in (errno.EINVAL, errno.ENAMETOOLONG)
    assert refusal(unix("a\0b")) == errno.EINVAL


def test_long_unix_path_is_reached_from_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    monkeypatch.chdir(directory)
    with bind_server(unix(directory / "app.sock")):
        assert (directory / "app.sock").is_socket()


def test_udp_socket_is_bound_and_not_blocking() -> None:
    with bind_udp(udp()) as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        assert not sock.getblocking()
        client.sendto(b"hello", sock.getsockname())
        sock.settimeout(scaled(2))
        assert sock.recv(16) == b"hello"


def test_udp_address_is_shared_only_when_asked() -> None:
    with bind_udp(udp(flags=4)) as first:
        port = first.getsockname()[1]
        bind_udp(udp(port=port, flags=4)).close()
        assert refusal(udp(port=port)) == errno.EADDRINUSE


@needs_ipv6
def test_udp6_heeds_its_flag() -> None:
    with bind_udp(udp(None, address_type="udp6", flags=1)) as sock:
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    with bind_udp(udp(None, address_type="udp6")) as sock:
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0


def test_app_is_told_the_port_that_it_asked_for(tmp_path: Path) -> None:
    with bind_server(tcp()) as sock:
        real = sock.getsockname()[1]
        assert name_of(sock, 0) == SocketName("127.0.0.1", "IPv4", real)
        assert name_of(sock, 3000) == SocketName("127.0.0.1", "IPv4", 3000)
    with bind_server(unix(tmp_path / "app.sock")) as sock:
        assert name_of(sock, 3000) == SocketName("127.0.0.1", "IPv4", 3000), "mapped to a path by --bind"
        assert name_of(sock, 0) is None
