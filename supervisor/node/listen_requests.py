"""Owns what Node workers ask and say about servers: what is answered, when a worker serves, when a server goes.

Runs in the supervisor process. It answers by the worker's link and asks NodeListeners for the sockets. It must never
wait: what takes long (who has this port?) is found out in a thread while the worker waits for its answer.
"""

import asyncio
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass

from ..settings.addresses import TcpAddress, UnixAddress
from ..sockets.refusals import explain_bind_error
from ..workers.life import ON_THE_WAY_OUT, LifeEvent, LifeEventName, State
from ..workers.runtime import RuntimeParts
from .binding import UNIX_SOCKET
from .link import Answer, NodeLink, OpenServer
from .messages import Listening, QueryServer, encode_refusal, encode_server, encode_shared_server
from .servers import MOST_SERVERS, UDP_TYPES, NodeListeners, Server, ServerAddress, address_of

# A worker whose only servers are UDP serves when it has asked for no other one for so long.
UDP_ONLY_GRACE = 1.0
# Servers that are closed one by one because their worker leaves are closed by the generation that goes.
CLOSE_GRACE = 1.0
# A worker that listens on as many servers as the one that it replaces, but on others, has this part of listen_timeout
# to come to those: it may open a new one first, and its main one when it has reached its database.
MOVE_GRACE_PART = 0.5
# Workers of a generation are compared when each has had the time to open all that it opens at its start.
COMPARE_AFTER = 1.0
EXPLANATION_HOLDS = 5.0
LONGEST_EXPLANATION = 2048
LONGEST_KEY = 4


@dataclass(frozen=True)
class ClosedServer:
    """A server that a worker has closed."""

    link: NodeLink
    server: Server


class ListenRequests:
    """Answers for all Node workers of an app.

    Args:
        parts: what the runtime works with.
        listeners: borrowed.
        links: of all workers, by slot; read only.
    """

    def __init__(self, parts: RuntimeParts, listeners: NodeListeners, links: Mapping[int, NodeLink]) -> None:
        self._remark = parts.remark
        self._app_name = parts.config.name
        self._keeper = parts.keeper
        self._listeners = listeners
        self._log = parts.log
        self._links = links
        self._loop = asyncio.get_running_loop()
        self._closed: list[ClosedServer] = []
        self._explanations: dict[ServerAddress, tuple[float, asyncio.Task[str]]] = {}
        self._answers_to_come: set[asyncio.Task[None]] = set()
        self._living_generations = parts.living_generations
        self._way_is_made: asyncio.Task[None] | None = None  # the dispatcher is closing what was in the way

    def on_query(self, link: NodeLink, query: QueryServer) -> None:
        """Answer a worker that wants to listen."""
        if link.worker.life.state in ON_THE_WAY_OUT:
            return  # Node's primary does not answer one that it has told to go, either
        try:
            server = self._obtain(query, link.worker.generation)
            if server.key in link.servers:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not self._makes_way(link, query):
                self._refuse(link, query, error)
            return
        link.servers[server.key] = OpenServer(server, query)
        self.answer(link, _answer_to(query, server))

    def on_listening(self, link: NodeLink, message: Listening) -> None:
        """Note that a server of a worker is up."""
        if link.worker.life.state in ON_THE_WAY_OUT:
            return
        for opened in link.servers.values():
            if not opened.is_listening and opened.is_meant_by(message):
                break
        else:
            return
        opened.listening_since = self._loop.time()
        link.confirm(opened.server)
        self._keeper.wanted.serve(link.slot, link.mask)
        self._note_serving(link)
        if opened.server.udp:
            self._loop.call_later(UDP_ONLY_GRACE, self._note_udp_only, link)

    def on_close(self, link: NodeLink, key: str) -> None:
        """Note that a worker has closed a server; when none has it any more clients are refused, as without us."""
        number = int(key) if key.isascii() and key.isdecimal() and len(key) < LONGEST_KEY else -1
        opened = link.servers.pop(number, None)
        if opened is None:
            return
        self._keeper.wanted.serve(link.slot, link.mask)
        closed = ClosedServer(link, opened.server)
        self._closed.append(closed)
        self._loop.call_later(CLOSE_GRACE, self._release, closed)

    def answer(self, link: NodeLink, answer: Answer) -> None:
        """Write an answer; a worker that makes it too long is out."""
        try:
            link.answer(answer)
        except ValueError:
            reason = "asked for a server with more data than an answer can hold"
            link.worker.apply(LifeEvent(LifeEventName.FAULTED, reason))

    def _obtain(self, query: QueryServer, generation: int) -> Server:
        """Return the server that a query asks for, if need be in the place of one about to go. Raises OSError."""
        try:
            return self._listeners.obtain(query, generation)
        except OSError as error:
            if error.errno != errno.EMFILE or not self._closed:
                raise
        for closed in list(self._closed):
            self._release(closed)
        return self._listeners.obtain(query, generation)

    def _makes_way(self, link: NodeLink, query: QueryServer) -> bool:
        """Whether the query is answered later: listeners of ours that nobody asks for any more are being closed."""
        if self._listeners.make_way(query, self._living_generations()):
            # It has the socket, too: until it has let go, the port is in use.
            self._way_is_made = self._loop.create_task(self._keeper.carried_out())
        if self._way_is_made is None or self._way_is_made.done():
            return False
        self._answers_to_come.add(task := self._loop.create_task(self._answer_after(self._way_is_made, link, query)))
        task.add_done_callback(self._answers_to_come.discard)
        return True

    async def _answer_after(self, made: asyncio.Task[None], link: NodeLink, query: QueryServer) -> None:
        await asyncio.shield(made)
        if self._is_current(link):
            self.on_query(link, query)

    def _release(self, closed: ClosedServer) -> None:
        if closed not in self._closed:
            return
        self._closed.remove(closed)
        server = closed.server
        is_leaving = closed.link.worker.life.state in ON_THE_WAY_OUT
        is_held = any(server.key in link.servers for link in self._links.values())
        if not is_leaving and not is_held and self._is_open(closed.link):
            self._listeners.release(server)

    def _note_udp_only(self, link: NodeLink) -> None:
        if self._is_open(link) and not link.stream_servers:
            self._note_serving(link, is_complete=True)

    def _note_serving(self, link: NodeLink, *, is_complete: bool = False) -> None:
        if self._is_serving(link, is_complete):
            link.explanation = ""
            if link.worker.life.state is State.STARTING:
                self._loop.call_later(COMPARE_AFTER, self._compare_ports, link)
            link.worker.apply(LifeEventName.SERVING)

    def _is_serving(self, link: NodeLink, is_complete: bool) -> bool:
        """Whether it listens on what makes it a worker of this app: with `--bind` there, and on every server of
        the worker that it replaces. `is_complete`: no other server is to be expected."""
        listening = link.listening_streams
        if self._listeners.has_given and not any(opened.server.is_given for opened in listening):
            return False
        needed = self._needed_servers(link)
        if not needed:
            return bool(listening) or is_complete
        if not needed.keys() - _keys(listening):
            return True
        if len(listening) >= len(needed):
            self._loop.call_later(link.listen_timeout * MOVE_GRACE_PART, self._fail_when_moved, link)
        return False

    def _needed_servers(self, link: NodeLink) -> dict[int, Server]:
        """Return what the worker serves that this one is to replace, by key."""
        others = (other for other in self._links.values() if other.admitted_at is not None and other is not link)
        predecessors = [other for other in others if other.worker.worker_id == link.worker.worker_id]
        return max((other.lasting_servers for other in predecessors), key=len, default={})

    def _fail_when_moved(self, link: NodeLink) -> None:
        """End a worker with which a reload would close a port that is served."""
        if not self._is_open(link) or link.worker.life.state is not State.STARTING:
            return
        listening, needed = link.listening_streams, self._needed_servers(link)
        missing = [server.text for key, server in needed.items() if key not in _keys(listening)]
        if missing:
            reason = (
                f"it listens on {_texts(listening)}, but not on {', '.join(missing)}, which would be closed;"
                f" if that is meant, `fastlb restart {self._app_name}` does it"
            )
            link.worker.apply(LifeEvent(LifeEventName.FAULTED, reason))

    def _compare_ports(self, link: NodeLink) -> None:
        """Warn when a worker and another one of its generation each listen where the other does not."""
        if not self._is_open(link):
            return
        ours = link.listening_streams
        for other in self._links.values():
            theirs = other.listening_streams
            is_comparable = other.worker.generation == link.worker.generation and ours and theirs
            if is_comparable and _keys(ours) - _keys(theirs) and _keys(theirs) - _keys(ours):
                reason = (
                    f"worker {link.worker.worker_id} listens on {_texts(ours)}, worker {other.worker.worker_id} on"
                    f" {_texts(theirs)}: clients of a port reach only its workers. Does the app look for a free port?"
                    " With --bind all are served there"
                )
                self._log.warning("different_ports", worker_id=link.worker.worker_id, reason=reason)
                self._remark(reason)
                return

    def _refuse(self, link: NodeLink, query: QueryServer, error: OSError) -> None:
        """Let the app see the error as it would without us, and tell the user why: not for ever, as it takes long."""
        refusal = Answer(encode_refusal(query, error.errno or errno.EIO))
        if not link.explanations_left:
            self.answer(link, refusal)
            return
        link.explanations_left -= 1
        task = self._loop.create_task(self._explain(link, query, error))
        self._answers_to_come.add(task)
        task.add_done_callback(self._answers_to_come.discard)
        task.add_done_callback(lambda _: self.answer(link, refusal) if self._is_current(link) else None)

    async def _explain(self, link: NodeLink, query: QueryServer, error: OSError) -> None:
        text = await self._explanation(query, error)
        if link.worker.life.state is State.STARTING:
            link.explanation = text
        self._log.warning("listen_failed", worker_id=link.worker.worker_id, reason=text)

    async def _explanation(self, query: QueryServer, error: OSError) -> str:
        """Return why it cannot listen; what several workers ask for at a time is looked up once."""
        ours = self._listeners.in_the_way(query) if error.errno == errno.EADDRINUSE else []
        if ours:
            return self._explain_own(query, ours)[:LONGEST_EXPLANATION]
        address, now = address_of(query), self._loop.time()
        began, task = self._explanations.get(address, (now, None))
        if task is None or now - began > EXPLANATION_HOLDS:
            self._explanations.clear()
            task = self._loop.create_task(asyncio.to_thread(explain_refusal, query, error))
            self._explanations[address] = (now, task)
        return (await asyncio.shield(task))[:LONGEST_EXPLANATION]

    def _explain_own(self, query: QueryServer, servers: list[Server]) -> str:
        """Return why it cannot listen where this app itself does: nobody is to stop our own dispatcher for that."""
        where = ", ".join(server.text for server in servers)
        wanted = f"cannot listen on {query.address or '*'}:{query.port}: this app itself"
        if any(server.is_given for server in servers):
            return f"{wanted} listens on {where}, by --bind: have it ask for another port"
        return (
            f"{wanted} listens on {where}, and both cannot be had at a time. If the new code is to listen there"
            f" instead, `fastlb restart {self._app_name}` closes the old one first, which a reload cannot do"
        )

    def _is_open(self, link: NodeLink) -> bool:
        return self._links.get(link.slot) is link

    def _is_current(self, link: NodeLink) -> bool:
        return self._is_open(link) and self._keeper.wanted.knows(link.slot)


def explain_refusal(query: QueryServer, error: OSError) -> str:
    """Return why an app cannot listen, for people. Slow: it may look at all processes of the machine."""
    if error.errno == errno.EMFILE:
        return f"the app listens on {MOST_SERVERS} addresses already, and more cannot be served at a time"
    if query.address_type in UDP_TYPES:
        return f"cannot listen on udp:{query.address or ''}:{query.port or 0}: {error.strerror}"
    if query.fd is not None:
        wanted = f"fd:{query.fd}"
        return (
            f"the app listens on descriptor {query.fd}, which fastlb was not given for its first server: pass it"
            f" with --bind {wanted}"
        )
    if query.port == UNIX_SOCKET:
        path = query.address or ""
        return explain_bind_error(error, path, UnixAddress(path)).message
    host, port = query.address or "", query.port or 0
    return explain_bind_error(error, f"{host}:{port}", TcpAddress(host, port)).message


def _keys(opened: list[OpenServer]) -> set[int]:
    return {one.server.key for one in opened}


def _texts(opened: list[OpenServer]) -> str:
    return ", ".join(one.server.text for one in opened)[:LONGEST_EXPLANATION]


def _answer_to(query: QueryServer, server: Server) -> Answer:
    if server.udp:
        return Answer(encode_shared_server(query, server.key), server)
    return Answer(encode_server(query, server.key, server.data, server.name), server)
