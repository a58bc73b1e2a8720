"""Owns what becomes of every line that a Node worker writes. Runs in the supervisor process.

To such a worker we are the primary of Node's cluster. Its connections are the dispatcher's business; everything else
that it says comes here, is a claim, and harms nobody but itself.
"""

from typing import Any

from ..workers.life import LifeEvent, LifeEventName
from ..workers.notices import TAKEN_BACK
from ..workers.runtime import RuntimeParts
from .broadcast import Broadcast
from .link import Answer, NodeLink
from .listen_requests import ListenRequests
from .messages import (
    Close,
    ExitedAfterDisconnect,
    HandleSent,
    Listening,
    QueryServer,
    SocketQuestion,
    UserMessage,
    decode_line,
    encode_acknowledgement,
    encode_no_sockets,
    encode_user_message,
)
from .preload import ActionBegun, ActionDone, Draining, Idle, Preloaded

READY = "ready"
UNREADY = "unready"
MOST_LOGGED = 2048


class NodeConversation:
    """Answers all Node workers of an app.

    Args:
        parts: what the runtime works with.
        requests: takes what they say of servers.
        links: of all workers, by slot; a link that is closed is taken out.

    Attributes:
        broadcast: forwards what apps send; None: nobody does.
    """

    def __init__(self, parts: RuntimeParts, requests: ListenRequests, links: dict[int, NodeLink]) -> None:
        self._requests = requests
        self._links = links
        self._log = parts.log
        self._unheard_before = 0  # messages of workers that are gone
        self.broadcast = Broadcast(parts.log) if parts.config.broadcast else None

    @property
    def messages(self) -> dict[str, int]:
        """How many messages were forwarded, and how many were not; empty when none are to be."""
        if self.broadcast is None:
            return {}
        unheard = self._unheard_before + sum(link.unheard_messages for link in self._links.values())
        return {"forwarded": self.broadcast.forwarded, "dropped": self.broadcast.dropped, "above_rate": unheard}

    def on_line(self, link: NodeLink, line: bytes) -> None:
        """Take a whole line that a worker wrote."""
        message = decode_line(line)
        match message:
            case QueryServer():
                self._requests.on_query(link, message)
            case Listening():
                self._requests.on_listening(link, message)
            case Close(key):
                self._on_close(link, key)
            case ExitedAfterDisconnect(seq):
                reason = "left by its own wish: cluster.worker.disconnect()"
                link.worker.apply(LifeEvent(LifeEventName.LEFT, reason))
                self._requests.answer(link, Answer(encode_acknowledgement(seq)))
            case HandleSent():
                self._log_event(link, "handle_refused", "the app sent a socket, which nobody takes")
            case SocketQuestion():
                self._requests.answer(link, Answer(encode_no_sockets(message)))
            case UserMessage(value):
                self._on_user_message(link, value)
            case Preloaded() | Draining():
                self._on_preload(link, message)
            case ActionBegun() | ActionDone():
                link.actions.on_word(message)

    def on_closed(self, link: NodeLink) -> None:
        """Forget a link that is being closed."""
        self._unheard_before += link.unheard_messages
        self._links.pop(link.slot, None)

    def _on_close(self, link: NodeLink, key: str) -> None:
        self._requests.on_close(link, key)
        if not link.servers:
            link.worker.apply(LifeEventName.SERVERS_CLOSED)

    def _on_preload(self, link: NodeLink, message: Preloaded | Draining) -> None:
        if isinstance(message, Preloaded):
            link.actions.is_preloaded = True
            link.worker.apply(LifeEventName.PRELOADED)
            return
        link.worker.apply(_choice(link, message))
        if isinstance(message, Idle):
            link.worker.apply(LifeEventName.IDLE)

    def _on_user_message(self, link: NodeLink, value: Any) -> None:
        if value == READY:
            link.worker.apply(LifeEventName.READY_SAID)
        elif value == UNREADY:
            link.worker.apply(LifeEvent(LifeEventName.UNREADY_SAID, TAKEN_BACK))
        elif isinstance(value, dict) and value.get("type") == "process:msg":
            data = encode_user_message(value.get("data"))[:MOST_LOGGED].decode(errors="replace").rstrip("\n")
            self._log_event(link, "process_msg", data)
        elif link.actions.take(value):
            pass  # of PM2's library: for us alone
        elif self.broadcast is not None:
            others = [other.mailbox for other in self._links.values() if other is not link]
            self.broadcast.forward(link.worker.worker_id, value, others)

    def _log_event(self, link: NodeLink, event: str, text: str) -> None:
        """Log what an app says, within bounds: one that says much fills no disk."""
        if link.events.allows():
            self._log.info(event, worker_id=link.worker.worker_id, data=text)


def _choice(link: NodeLink, message: Draining) -> LifeEventName:
    """How the app wants to be told to end; under PM2 the message takes the signal's place, too."""
    if link.prefers_message and message.hears_messages:
        return LifeEventName.MESSAGE_CHOSEN
    return LifeEventName.SIGNAL_CHOSEN if message.hears_signal else LifeEventName.NOTHING_CHOSEN
