"""Owns how messages of the control socket become bytes and back: one JSON object a line. Pure; both ends.

What comes in is never trusted: an error here is an answer to its sender and nothing else.
"""

from typing import Any, Literal

import msgspec

from .protocol import ERROR_INVALID_REQUEST, ERROR_PARSE, MAX_MESSAGE_BYTES, PROTOCOL_VERSION

MessageId = int | str | None


class RequestError(Exception):
    """A request that cannot be carried out as it is. `code`: one of protocol.ERROR_*."""

    def __init__(self, code: int, message: str, id: MessageId = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.id = id


class ControlRequest(msgspec.Struct):
    """A call, before its parameters are looked at."""

    jsonrpc: Literal["2.0"]
    id: int | str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")


class ErrorData(msgspec.Struct):
    """What the command line needs besides the message of an error."""

    exit_code: int = 1
    details: str = ""


class Error(msgspec.Struct):
    """The error of a reply."""

    code: int
    message: str
    data: ErrorData = msgspec.field(default_factory=ErrorData)


class ServerMessage(msgspec.Struct, omit_defaults=True):
    """Everything that a supervisor sends: a notification has `method`, a reply `protocol`."""

    id: MessageId = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Error | None = None
    protocol: int = 0


_request_decoder = msgspec.json.Decoder(ControlRequest)
_server_message_decoder = msgspec.json.Decoder(ServerMessage)
_encoder = msgspec.json.Encoder()


def decode_request(line: bytes) -> ControlRequest:
    """Read one line.

    Raises:
        RequestError: it is no JSON, or no request; the message names the field.
    """
    try:
        return _request_decoder.decode(line)
    except msgspec.ValidationError as error:
        raise RequestError(ERROR_INVALID_REQUEST, f"not a request: {error}", _id_of(line)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RequestError(ERROR_PARSE, f"not JSON: {error}") from error


def decode_server_message(line: bytes) -> ServerMessage:
    """Read one line that a supervisor sent.

    Raises:
        msgspec.DecodeError: it is none of ours.
    """
    return _server_message_decoder.decode(line)


def encode_request(id: int, method: str, params: Any) -> bytes:
    """A call as a line. `params`: a struct or a dict."""
    return _line({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def encode_result(id: MessageId, result: Any) -> bytes:
    """A reply as a line."""
    return _line({"jsonrpc": "2.0", "id": id, "result": result, "protocol": PROTOCOL_VERSION})


def encode_error(id: MessageId, error: Error) -> bytes:
    """An error reply as a line."""
    return _line({"jsonrpc": "2.0", "id": id, "error": error, "protocol": PROTOCOL_VERSION})


def encode_notification(method: str, params: Any) -> bytes:
    """A message without reply as a line."""
    return _line({"jsonrpc": "2.0", "method": method, "params": params})


def _line(message: dict[str, Any]) -> bytes:
    line = _encoder.encode(message) + b"\n"
    if len(line) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {len(line)} bytes is too long for the control socket")
    return line


def _id_of(line: bytes) -> MessageId:
    """The id of a message that is otherwise no request, so that its sender can tell which one it was."""
    try:
        return msgspec.json.decode(line, type=_WithId).id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


class _WithId(msgspec.Struct):
    id: int | str
