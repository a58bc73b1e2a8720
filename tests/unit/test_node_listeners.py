"""Which sockets a Node app has: shared by its workers, kept by generations, mapped by `--bind`. Real sockets."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastlb.lb.page import PAGE_LISTENERS
from fastlb.supervisor.node.messages import QueryServer, SocketName
from fastlb.supervisor.node.servers import NodeListeners, Server, ServerAddress, address_of
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.sockets.listeners import BoundListener, bind_all, close_all
from msgspec.structs import replace

from tests.support.ports import free_port
from tests.support.sockets import backlog_of
from tests.support.waiting import scaled

BACKLOG = 77


class Dispatcher:
    """Keeps what a dispatcher would have been told."""

    def __init__(self, given: list[BoundListener]) -> None:
        self.known = {listener.listener_id for listener in given}
        self.last_added: BoundListener | None = None

    def added(self, listener: BoundListener) -> None:
        assert listener.listener_id not in self.known
        self.known.add(listener.listener_id)
        self.last_added = listener

    def removed(self, listener: BoundListener) -> None:
        assert listener.socket.fileno() >= 0, "it is told before the socket is closed"
        self.known.remove(listener.listener_id)


class App:
    """The listeners of an app, and what was told of them."""

    def __init__(self, given: list[BoundListener]) -> None:
        self.list = given
        self.dispatcher = Dispatcher(given)
        self.servers = NodeListeners(given, self.dispatcher.added, self.dispatcher.removed, BACKLOG)

    @property
    def addresses(self) -> list[str]:
        return [listener.address for listener in self.list]


@contextmanager
def an_app(*bind: str) -> Iterator[App]:
    """An app with these `--bind`."""
    given = bind_all(AppConfig(target="server.js", name="app", bind=bind)) if bind else []
    app = App(given)
    try:
        yield app
    finally:
        app.servers.close()
        close_all(app.list)
        assert app.dispatcher.known == set()


def query(port: int | None = 0, address: str | None = "127.0.0.1", **fields: Any) -> QueryServer:
    return QueryServer(seq=1, address=address, port=port, **{"address_type": 4, **fields})


def unix(path: Path) -> QueryServer:
    return QueryServer(seq=1, address=str(path), port=-1, address_type=-1)


def is_open(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=scaled(2)):
            return True
    except ConnectionRefusedError:
        return False


def port_of(name: SocketName | None) -> int:
    assert name is not None
    return name.port


def test_workers_that_ask_for_the_same_share_it() -> None:
    port = free_port()
    with an_app() as app:
        first = app.servers.obtain(query(port), 1)
        assert app.servers.obtain(query(port, index=3), 1) is first, "Node counts, we do not, but for port 0"
        assert not app.servers.has_given
        assert app.addresses == [f"127.0.0.1:{port}"]
        assert app.dispatcher.known == {first.key}
        assert first.name == SocketName("127.0.0.1", "IPv4", port)


def test_dispatcher_and_workers_know_a_listener_by_its_place() -> None:
    with an_app() as app:
        for place in range(3):
            server = app.servers.obtain(query(index=place), 1)
            (listener,) = server.bound
            assert app.dispatcher.last_added is listener
            assert (server.key, listener.key, listener.listener_id, listener.info.listener_id) == (place,) * 4
            assert listener.spec == "", "it comes from no --bind"
            assert backlog_of(listener.socket) == BACKLOG


def test_what_nodes_count_is_left_out_of_an_address_that_has_a_port() -> None:
    assert address_of(query(3000, index=3)) == ServerAddress("127.0.0.1", 3000, 4, None, 0)
    assert address_of(query(0, index=3)) == ServerAddress("127.0.0.1", 0, 4, None, 3)


def test_nth_server_on_port_0_is_the_same_in_every_worker() -> None:
    with an_app() as app:
        first, second = (app.servers.obtain(query(index=index), 1) for index in (0, 1))
        assert app.servers.obtain(query(index=1), 1) is second
        assert first is not second
        assert port_of(first.name) != port_of(second.name)
        assert 0 not in (port_of(first.name), port_of(second.name))
        assert first.mask & second.mask == 0


def test_ticket_keys_of_the_first_worker_are_everybodys() -> None:
    with an_app() as app:
        assert app.servers.obtain(query(index=0, data="first"), 1).data == "first"
        assert app.servers.obtain(query(index=0, data="second"), 1).data == "first"


def test_listener_lives_as_long_as_a_generation_that_asked_for_it() -> None:
    old, shared, new = free_port(), free_port(), free_port()
    with an_app() as app:
        for port in (old, shared):
            app.servers.obtain(query(port), 1)
        for port in (shared, new):
            app.servers.obtain(query(port), 2)
        app.servers.keep_only({1, 2})
        assert [is_open(port) for port in (old, shared, new)] == [True, True, True]
        app.servers.keep_only({2, 3})
        assert [is_open(port) for port in (old, shared, new)] == [False, True, True]
        assert app.addresses == [f"127.0.0.1:{port}" for port in (shared, new)]
        app.servers.keep_only(set())
        assert [is_open(port) for port in (shared, new)] == [False, False]
        assert app.dispatcher.known == set()


def test_second_socket_for_an_address_in_use_is_refused_and_nothing_is_left_of_it() -> None:
    port = free_port()
    with an_app() as app:
        app.servers.obtain(query(port), 1)
        with pytest.raises(OSError, match="in use") as raised:
            app.servers.obtain(query(port, "0.0.0.0"), 1)
        assert raised.value.errno == errno.EADDRINUSE
        assert len(app.list) == len(app.dispatcher.known) == 1


@pytest.mark.parametrize("living", [{1, 2}, {2}], ids=["old-lives", "old-gone"])
def test_way_is_made_only_by_servers_that_no_living_generation_asked_for(living: set[int]) -> None:
    port, other = free_port(), free_port()
    with an_app() as app:
        app.servers.obtain(query(port), 1)
        app.servers.obtain(query(other), 1)
        assert app.servers.make_way(query(port, "0.0.0.0"), living) is (1 not in living)
        assert [is_open(port), is_open(other)] == [1 in living, True]


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        (query(1), query(1, "0.0.0.0"), True),
        (query(1), query(1, None), True),
        (query(1, None), query(1), True),
        (query(1), query(1, "::", address_type=6, flags=1), False),
        (query(1), query(1, "127.0.0.2"), False),
        (query(1), query(1, "::1", address_type=6), False),
        (query(1), query(1, "no address"), False),
        (query(1), query(1), True),
        (query(1, "0.0.0.0"), query(1), True),
        (query(1, "0.0.0.0"), query(1, None), True),
        (query(1, "0.0.0.0"), query(1, None, address_type=6, flags=1), False),
        (query(1, "::1", address_type=6), query(1), False),
        (query(1, "::1", address_type=6), query(1, None, address_type=6), True),
        (query(1, "::", address_type=6, flags=1), query(1), False),
        (query(1, "::", address_type=6, flags=1), query(1, None), True),
        (query(1, None, address_type="udp6", flags=1), query(1, None, address_type="udp4"), False),
        (query(1, None, address_type="udp6", flags=1), query(1, None, address_type="udp6"), True),
        (query(1, None, address_type="udp6"), query(1, None, address_type="udp4"), True),
        (query(1, "::1", address_type="udp6"), query(1, None, address_type="udp6"), True),
        (query(1), query(1, "0.0.0.0", address_type="udp4"), False),
        (query(1, address_type="udp4"), query(1, None, address_type="udp4"), True),
    ],
)
def test_servers_in_the_way_have_the_port_and_an_address_in_common(
    first: QueryServer, second: QueryServer, conflict: bool
) -> None:
    port = free_port()
    with an_app() as app:
        server = app.servers.obtain(replace(first, port=port), 1)
        assert app.servers.in_the_way(replace(second, port=port)) == ([server] if conflict else [])
        assert app.servers.in_the_way(replace(second, port=port + 1 if port < 65535 else 1)) == []


def test_listener_of_bind_is_in_the_way_and_stays() -> None:
    with an_app("127.0.0.1:0") as app:
        port = app.list[0].info.port
        asked = query(port, "0.0.0.0")
        assert app.servers.in_the_way(asked) == [Server(address_of(asked), 0, app.list, is_given=True)]
        assert not app.servers.make_way(asked, {2})
        assert is_open(port)


def test_there_are_as_many_listeners_as_a_dispatcher_has_places_and_no_more() -> None:
    with an_app() as app:
        keys = {app.servers.obtain(query(index=index), 1).key for index in range(PAGE_LISTENERS)}
        assert len(keys) == len(app.list) == PAGE_LISTENERS
        with pytest.raises(OSError, match="open files") as raised:
            app.servers.obtain(query(index=PAGE_LISTENERS), 1)
        assert raised.value.errno == errno.EMFILE
        assert app.servers.obtain(query(address_type="udp4"), 1).key not in keys
        app.servers.keep_only(set())
        assert app.servers.obtain(query(index=PAGE_LISTENERS), 2).key in keys, "a place that was freed"


def test_there_are_as_many_udp_servers_and_no_more() -> None:
    with an_app() as app:
        datagrams = [query(index=index, address_type="udp4") for index in range(PAGE_LISTENERS + 1)]
        keys = {app.servers.obtain(asked, 1).key for asked in datagrams[:PAGE_LISTENERS]}
        assert keys == set(range(PAGE_LISTENERS, 2 * PAGE_LISTENERS))
        with pytest.raises(OSError, match="open files") as raised:
            app.servers.obtain(datagrams[-1], 1)
        assert raised.value.errno == errno.EMFILE


def test_unix_socket_is_not_in_the_way_of_a_port_and_is_known_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with an_app() as app:
        app.servers.obtain(unix(Path("app.sock")), 1)
        assert app.addresses == [f"unix:{tmp_path}/app.sock"]
        assert app.servers.in_the_way(query(3000)) == []
        monkeypatch.chdir("/")
        app.servers.keep_only(set())
        assert not (tmp_path / "app.sock").exists(), "wherever we are when it goes"


def test_unix_socket_goes_with_the_last_generation_and_a_successors_is_left_alone(tmp_path: Path) -> None:
    mine, taken_over = tmp_path / "mine.sock", tmp_path / "taken.sock"
    with an_app() as app:
        assert app.servers.obtain(unix(mine), 1).name is None
        app.servers.obtain(unix(taken_over), 1)
        assert app.addresses == [f"unix:{mine}", f"unix:{taken_over}"]
        taken_over.rename(tmp_path / "away.sock")
        taken_over.write_text("somebody else's")
        app.servers.keep_only({2})
        assert not mine.exists()
        assert taken_over.read_text() == "somebody else's"


def test_udp_is_one_socket_and_no_listener_of_the_dispatcher() -> None:
    port = free_port()
    datagrams = query(port, address_type="udp4")
    with an_app() as app:
        server = app.servers.obtain(datagrams, 1)
        assert app.servers.obtain(datagrams, 1) is server
        assert server.udp is not None
        assert server.mask == 0
        assert server.key >= PAGE_LISTENERS
        assert app.list == []
        assert app.servers.udp_addresses == [f"udp:127.0.0.1:{port}"]
        assert server.name == SocketName("127.0.0.1", "IPv4", port)
        tcp = app.servers.obtain(query(port), 1)
        assert tcp is not server, "the same port of the other protocol"
        app.servers.keep_only(set())
        assert server.udp.fileno() < 0


def test_udp_server_that_no_worker_has_open_is_closed_and_made_anew() -> None:
    datagrams = query(free_port(), address_type="udp4")
    with an_app() as app:
        server = app.servers.obtain(datagrams, 1)
        app.servers.release(server)
        assert server.udp is not None
        assert server.udp.fileno() < 0
        again = app.servers.obtain(datagrams, 1)
        app.servers.release(server)
        assert again.udp is not None
        assert again.udp.fileno() >= 0, "one that was closed is not closed again"


def test_first_server_is_served_at_bind_and_told_its_own_port() -> None:
    with an_app("127.0.0.1:0", "127.0.0.1:0") as app:
        given = list(app.addresses)
        server = app.servers.obtain(query(3000, None), 1)
        assert port_of(server.name) == 3000
        assert app.addresses == given
        assert server.mask == 0b11
        assert server.key == 0
        assert app.servers.has_given
        assert server.is_given
        assert app.servers.obtain(query(3000, None), 1) is server


def test_second_server_listens_where_it_asks_and_does_not_count_as_the_app() -> None:
    port = free_port()
    with an_app("127.0.0.1:0") as app:
        app.servers.obtain(query(3000), 1)
        second = app.servers.obtain(query(port), 1)
        assert is_open(port)
        assert not second.is_given
        app.servers.keep_only({2})
        assert not is_open(port)
        assert len(app.list) == 1, "that of --bind stays"


def test_unix_path_and_descriptor_of_an_app_are_mapped_by_bind(tmp_path: Path) -> None:
    with an_app("127.0.0.1:0") as app:
        assert app.servers.obtain(unix(tmp_path / "app.sock"), 1).name is None
        assert not (tmp_path / "app.sock").exists()
    with an_app("127.0.0.1:0") as app:
        server = app.servers.obtain(QueryServer(seq=1, fd=3), 1)
        assert server.bound == app.list
        with pytest.raises(OSError, match="descriptor"):
            app.servers.obtain(QueryServer(seq=1, fd=4), 1)


def test_descriptor_without_bind_is_refused() -> None:
    with an_app() as app, pytest.raises(OSError, match="descriptor") as raised:
        app.servers.obtain(QueryServer(seq=1, fd=3), 1)
    assert raised.value.errno == errno.EBADF


def test_bind_of_a_unix_socket_is_told_as_the_port_that_was_asked_for(tmp_path: Path) -> None:
    with an_app(f"unix:{tmp_path / 'given.sock'}") as app:
        assert port_of(app.servers.obtain(query(3000), 1).name) == 3000


def test_release_that_asks_for_another_port_is_served_at_bind_too() -> None:
    with an_app("127.0.0.1:0") as app:
        old = app.servers.obtain(query(3000), 1)
        new = app.servers.obtain(query(4000), 2)
        assert port_of(new.name) == 4000
        assert (old.mask, old.key) == (new.mask, new.key)
        assert new.is_given
        assert app.servers.obtain(query(3000), 1) is old, "workers of the old release are restarted as before"
        app.servers.keep_only({2})
        assert is_open(app.list[0].info.port)
        app.servers.keep_only(set())
        assert len(app.list) == 1


def test_closed_listeners_are_gone() -> None:
    port = free_port()
    with an_app("127.0.0.1:0") as app:
        given = app.list[0].info.port
        app.servers.obtain(query(3000), 1)
        app.servers.obtain(query(port), 1)
        app.servers.close()
        assert (is_open(port), is_open(given)) == (False, False)
        assert app.list == []
