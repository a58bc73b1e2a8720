"""Owns what becomes of every line that a Node worker writes. Runs in the supervisor process.

To such a worker we are the primary of Node's cluster. Its connections are the dispatcher's business; everything else
that it says comes here, is a claim, and harms nobody but itself.
"""

from typing import Any

from ..output.event_log import EventLog
from ..workers.life import LifeEvent, LifeEventName
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

READY = "ready"
MOST_LOGGED = 2048


class NodeConversation:
    """Answers all Node workers of an app.

    Args:
        requests: takes what they say of servers.
        links: of all workers, by slot; a link that is closed is taken out.
        log: borrowed.
    """

    def __init__(self, requests: ListenRequests, links: dict[int, NodeLink], log: EventLog) -> None:
        self._requests = requests
        self._links = links
        self._log = log

    def on_line(self, link: NodeLink, line: bytes) -> None:
        """Take a whole line that a worker wrote."""
        message = decode_line(line)
        match message:
            case QueryServer():
                self._requests.on_query(link, message)
            case Listening():
                self._requests.on_listening(link, message)
            case Close(key):
                self._requests.on_close(link, key)
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

    def on_closed(self, link: NodeLink) -> None:
        """Forget a link that is being closed."""
        self._links.pop(link.slot, None)

    def _on_user_message(self, link: NodeLink, value: Any) -> None:
        if value == READY:
            link.worker.apply(LifeEventName.READY_SAID)
        elif isinstance(value, dict) and value.get("type") == "process:msg":
            data = encode_user_message(value.get("data"))[:MOST_LOGGED].decode(errors="replace").rstrip("\n")
            self._log_event(link, "process_msg", data)

    def _log_event(self, link: NodeLink, event: str, text: str) -> None:
        """Log what an app says, within bounds: one that says much fills no disk."""
        if link.events.allows():
            self._log.info(event, worker_id=link.worker.worker_id, data=text)
