"""Owns the sockets that Node apps ask for: which there are, who has asked, when they go. Runs in the supervisor.

One socket for each address, whichever worker asks first; a listener lives as long as a generation that has asked
for it, also while none of its workers is up: connections wait in its backlog. With `--bind` the app's first
server is served there instead, and the app is told the port that it asked for. It never speaks to a worker.
"""

import errno
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ...lb.page import PAGE_LISTENERS
from ..sockets.listeners import BoundListener, close_all, describe
from .binding import NODE_BACKLOG, UNIX_SOCKET, bind_server, bind_udp, is_in_the_way, name_of
from .messages import QueryServer, SocketName

UDP_TYPES = ("udp4", "udp6")
MOST_SERVERS = PAGE_LISTENERS  # of each: connections, and datagrams


@dataclass(frozen=True)
class ServerAddress:
    """What makes two servers the same; `index` counts only for port 0, where each asks for another port."""

    address: str | None
    port: int | None
    address_type: int | str | None
    fd: int | None
    index: int


def address_of(query: QueryServer) -> ServerAddress:
    """Return what a query asks for, comparable."""
    index = query.index if query.port == 0 else 0
    return ServerAddress(query.address, query.port, query.address_type, query.fd, index)


@dataclass
class Server:
    """What the workers share when they listen on one address.

    Attributes:
        address: as the app asked for it.
        key: by which workers know it.
        bound: the listeners; empty for UDP.
        udp: the shared socket, else None.
        data: what the first worker said.
        generations: who has asked.
        is_given: its listeners come from `--bind`, and stay.
    """

    address: ServerAddress
    key: int
    bound: list[BoundListener]
    udp: socket.socket | None = None
    data: Any = None
    generations: set[int] = field(default_factory=set)
    is_given: bool = False

    @property
    def mask(self) -> int:
        """Bit i set: listener i is one of its own."""
        return sum(1 << listener.listener_id for listener in self.bound)

    @property
    def name(self) -> SocketName | None:
        """What the app is told that it listens on."""
        sock = self.udp or self.bound[0].socket
        if self.address.port == UNIX_SOCKET:
            return None
        return name_of(sock, max(self.address.port or 0, 0))

    @property
    def sockets(self) -> list[socket.socket]:
        """Borrowed."""
        return [self.udp] if self.udp else [listener.socket for listener in self.bound]

    @property
    def text(self) -> str:
        """Where it listens, for people."""
        if self.udp is None:
            return ", ".join(listener.address for listener in self.bound)
        host, port = self.udp.getsockname()[:2]
        return f"udp:[{host}]:{port}" if ":" in host else f"udp:{host}:{port}"


class NodeListeners:
    """All servers of a Node app.

    Args:
        listeners: those of `--bind`; the list that the others are added to, as they come and go.
        on_added, on_removed: tell the dispatcher of a listener.
        backlog: for apps that ask for none of their own.
    """

    def __init__(
        self,
        listeners: list[BoundListener],
        on_added: Callable[[BoundListener], None],
        on_removed: Callable[[BoundListener], None],
        backlog: int = NODE_BACKLOG,
    ) -> None:
        self._listeners = listeners
        self._backlog = backlog
        self._given = list(listeners)
        self._on_added = on_added
        self._on_removed = on_removed
        self._servers: dict[ServerAddress, Server] = {}
        self._mapped: dict[int, ServerAddress] = {}  # by generation: which of its servers is served at `--bind`

    @property
    def udp_addresses(self) -> list[str]:
        """Where UDP servers listen, for people."""
        return [server.text for server in self._servers.values() if server.udp]

    @property
    def has_given(self) -> bool:
        """Whether there are listeners of `--bind`."""
        return bool(self._given)

    def release(self, server: Server) -> None:
        """Close a server that no worker has open any more."""
        if self._servers.get(server.address) is server:
            del self._servers[server.address]
            self._close(server)

    def obtain(self, query: QueryServer, generation: int) -> Server:
        """Return the server that a worker of this generation asks for.

        Raises:
            OSError: it cannot listen there; `errno` is the app's business.
        """
        address = address_of(query)
        if self._given and query.address_type not in UDP_TYPES:
            self._mapped.setdefault(generation, address)
        server = self._servers.get(address)
        if server is None:
            server = self._new_server(query, address, self._mapped.get(generation) == address)
            self._servers[address] = server
        server.generations.add(generation)
        return server

    def in_the_way(self, query: QueryServer) -> list[Server]:
        """Return the servers of this app which are why another one cannot listen where it asks to."""
        is_udp = query.address_type in UDP_TYPES
        servers = list(self._servers.values())
        if self._given and not any(server.is_given for server in servers):
            servers.append(Server(address_of(query), self._given[0].key, self._given, is_given=True))
        return [
            server
            for server in servers
            if is_udp == bool(server.udp) and any(is_in_the_way(sock, query) for sock in server.sockets)
        ]

    def make_way(self, query: QueryServer, living: set[int]) -> bool:
        """Close what keeps a server from listening and no living generation has asked for; return whether any was."""
        unwanted = [
            server for server in self.in_the_way(query) if not server.is_given and not server.generations & living
        ]
        for server in unwanted:
            self.release(server)
        return bool(unwanted)

    def keep_only(self, generations: Iterable[int]) -> None:
        """Close what only generations other than these have asked for."""
        living = set(generations)
        for address, server in list(self._servers.items()):
            server.generations &= living
            if not server.generations:
                self._close(server)
                del self._servers[address]
        self._mapped = {number: self._mapped[number] for number in living & self._mapped.keys()}

    def close(self) -> None:
        """Close everything; the dispatcher accepts no more."""
        for server in self._servers.values():
            if server.udp:
                server.udp.close()
        self._servers.clear()
        for listener in list(self._listeners):
            self._remove(listener)

    def _new_server(self, query: QueryServer, address: ServerAddress, is_mapped: bool) -> Server:
        if query.address_type in UDP_TYPES:
            server = Server(address, self._free_key(), [], udp=bind_udp(query))
        elif is_mapped:
            server = Server(address, self._given[0].key, list(self._given), is_given=True)
        elif query.fd is not None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        else:
            server = self._bind(query, address)
        server.data = query.data
        return server

    def _bind(self, query: QueryServer, address: ServerAddress) -> Server:
        listener_id = self._free_listener_id()
        sock = bind_server(query, self._backlog)
        info = describe(listener_id, sock)
        path, file_id = None, None
        if query.port == UNIX_SOCKET and query.address:
            path = Path(os.path.abspath(query.address))
            status = path.lstat()
            file_id = (status.st_dev, status.st_ino)
            info = replace(info, host=str(path))
        listener = BoundListener(listener_id, sock, "", info, path, file_id, key=listener_id)
        self._listeners.append(listener)
        self._on_added(listener)
        return Server(address, listener_id, [listener])

    def _free_listener_id(self) -> int:
        taken = {listener.listener_id for listener in self._listeners}
        for listener_id in range(PAGE_LISTENERS):
            if listener_id not in taken:
                return listener_id
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def _free_key(self) -> int:
        """Return a key for a server that is no listener of the dispatcher."""
        taken = {server.key for server in self._servers.values()}
        for key in range(PAGE_LISTENERS, PAGE_LISTENERS + MOST_SERVERS):
            if key not in taken:
                return key
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def _close(self, server: Server) -> None:
        if server.udp:
            server.udp.close()
        if not server.is_given:
            for listener in server.bound:
                self._remove(listener)

    def _remove(self, listener: BoundListener) -> None:
        self._on_removed(listener)
        self._listeners.remove(listener)
        close_all([listener])
