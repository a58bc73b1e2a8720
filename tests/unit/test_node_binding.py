"""How a socket is bound for a Node app: Node's rules, real sockets, the errno that the app is told."""

import errno
import os
import random
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.node.binding import bind_server, bind_udp, name_of
from fastlb.supervisor.node.messages import QueryServer, SocketName
from fastlb.supervisor.settings.addresses import MAX_UNIX_PATH_BYTES

from tests.support.sockets import backlog_of
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
    assert raised.value.strerror == os.strerror(raised.value.errno)
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
        (udp(port=65536), errno.EINVAL),
        (udp(port=1 << 70), errno.EINVAL),
        (tcp("192.0.2.1"), errno.EADDRNOTAVAIL),
        (tcp("no.such.host.invalid"), errno.EINVAL),
        (tcp("127.0.0.1\0"), errno.EINVAL),
        (tcp("127.0.0.1 "), errno.EINVAL),
        (tcp("127.0.0.1", address_type=6), errno.EINVAL),
        (udp("no.such.host.invalid"), errno.EINVAL),
        (udp("\0"), errno.EINVAL),
        (udp("127.0.0.1", address_type="udp6"), errno.EINVAL),
        (unix(""), errno.EINVAL),
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


@pytest.mark.parametrize(("asked", "expected"), [(None, 77), (False, 77), (0, 77), (1, 1), (33, 33)])
def test_backlog_is_ours_unless_the_app_wants_another(asked: object, expected: int) -> None:
    with bind_server(tcp(backlog=asked), backlog=77) as sock:
        assert backlog_of(sock) == expected


@pytest.mark.parametrize(("ours", "mode"), [(0o022, 0o755), (0o077, 0o700), (0o777, 0)])
def test_unix_socket_has_the_mode_that_was_asked_for(tmp_path: Path, umask: None, ours: int, mode: int) -> None:
    os.umask(ours)
    for name, fields, added in [
        ("plain", {}, 0),
        ("readable", {"readable_all": True}, 0o444),
        ("writable", {"writable_all": True}, 0o222),
        ("both", {"readable_all": True, "writable_all": True}, 0o666),
    ]:
        path = tmp_path / name
        with bind_server(unix(path, **fields)):
            assert stat.S_IMODE(path.stat().st_mode) == mode | added, name
    assert os.umask(0o022) == ours, "ours is as before"


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


@pytest.mark.parametrize("length", [20, MAX_UNIX_PATH_BYTES])
def test_unix_path_that_fits_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """From far down the relative path would be too long."""
    deep = tmp_path / ("d/" * 50)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    with tempfile.TemporaryDirectory(prefix="f", dir="/tmp") as short:
        path = f"{short}/".ljust(length, "s")
        with bind_server(unix(path)) as sock:
            assert sock.getsockname() == path


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


@pytest.mark.parametrize("port", [0, None])
def test_every_udp_socket_on_port_0_gets_another_and_no_address_is_everywhere(port: int | None) -> None:
    with bind_udp(udp(None, port)) as first, bind_udp(udp(None, port)) as second:
        assert first.getsockname()[0] == second.getsockname()[0] == "0.0.0.0"
        assert first.getsockname()[1] != second.getsockname()[1]


@pytest.mark.parametrize("query", [tcp, udp])
def test_last_port_is_one(query: Callable[[str, int], QueryServer]) -> None:
    host = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"  # nobody else's
    asked = query(host, 65535)
    with bind_udp(asked) if query is udp else bind_server(asked) as sock:
        assert sock.getsockname() == (host, 65535)


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
        assert name_of(sock, 1) == SocketName("127.0.0.1", "IPv4", 1)
        assert name_of(sock, 0) is None


@needs_ipv6
def test_app_is_told_that_its_address_is_of_ipv6() -> None:
    with bind_server(tcp("::1")) as sock:
        assert name_of(sock, 0) == SocketName("::1", "IPv6", sock.getsockname()[1])
        assert name_of(sock, 3000) == SocketName("::1", "IPv6", 3000)
