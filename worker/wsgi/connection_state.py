"""Owns the states of a client connection of a WSGI worker: which there are, and which may follow which.

Pure; used by the connection in the event loop's thread of a worker process. Knows no clock and no socket.
"""

from enum import IntEnum


class ConnectionState(IntEnum):
    """What a connection waits for; in brackets what its deadline does. It is in exactly one state."""

    NEW = 0  # its first request, which may be here: for a moment it counts as busy without one (then HEAD or BODY)
    HEAD = 1  # the rest of a head, or a late first head, as always with TLS (408; close when nothing of it came)
    BODY = 2  # the rest of a body (408)
    IDLE = 3  # another request on a kept connection (close)
    ANSWERING = 4  # the app, or the client's taking of what the app produced (abort)
    LINGERING = 5  # the client's close, after a refusal; what it still sends is thrown away (abort)
    CLOSING = 6  # the transport, to send what it holds; nothing is read any more
    CLOSED = 7  # nothing: the transport is gone


_S = ConnectionState
_ENDS = {_S.LINGERING, _S.CLOSING, _S.CLOSED}
TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    _S.NEW: frozenset({_S.HEAD, _S.BODY, _S.ANSWERING, *_ENDS}),
    _S.HEAD: frozenset({_S.BODY, _S.ANSWERING, *_ENDS}),
    _S.BODY: frozenset({_S.BODY, _S.ANSWERING, *_ENDS}),  # timed anew with each part
    _S.IDLE: frozenset({_S.HEAD, _S.BODY, _S.ANSWERING, *_ENDS}),
    # More than the answered request may have come: a whole one, a part of one, or nonsense.
    _S.ANSWERING: frozenset({_S.IDLE, _S.HEAD, _S.BODY, _S.ANSWERING, *_ENDS}),
    _S.LINGERING: frozenset({_S.CLOSING, _S.CLOSED}),
    _S.CLOSING: frozenset({_S.CLOSING, _S.CLOSED}),  # asked to close once more
    _S.CLOSED: frozenset(),
}


def arrival_state(in_head: bool) -> ConnectionState:
    """Return the state of a connection on which a part of a request has arrived that ends in its head, or not."""
    return ConnectionState.HEAD if in_head else ConnectionState.BODY
