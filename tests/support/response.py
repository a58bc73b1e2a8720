"""Owns as much of HTTP/1.1 responses as a client needs to see where one ends. Pure functions; no I/O."""

UNTIL_CLOSE = -1
CHUNKED = -2


def status_of(response: bytes) -> int:
    """Return the status code of a response whose first line is complete; 0 when it is not HTTP."""
    code = response[9:12]
    return int(code) if response[:7] == b"HTTP/1." and code.isdigit() else 0


def expected_length(response: bytes) -> int:
    """Return the full length of head and body; 0: not known yet; UNTIL_CLOSE or CHUNKED: not told."""
    end = response.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = response[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        return end + 4 + int(head[at + 17 :].split(b"\r", 1)[0])
    if b"\r\ntransfer-encoding: chunked" in head:
        return CHUNKED
    return UNTIL_CLOSE if status_of(response) not in (204, 304) else end + 4


def is_complete(response: bytes, expected: int, *, closed: bool) -> bool:
    """Say whether all of a response is there; `expected` as from expected_length."""
    if expected == UNTIL_CLOSE:
        return closed
    if expected == CHUNKED:
        return response.endswith(b"0\r\n\r\n")
    return 0 < expected <= len(response)
