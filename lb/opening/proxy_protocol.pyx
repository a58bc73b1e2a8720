"""Owns the way from Python to the understanding of a PROXY header (proxy_protocol.pxd).

Runs in tests, in no process of a running app: they call the very code that the dispatcher runs.
"""

from libc.stdint cimport uint8_t

MOST_BYTES = PROXY_HEADER_BYTES


def parse(bytes data):
    """Return the verdict on the first bytes of a connection, and of a whole header its length and its client.

    The client is None, where the connection's own peer counts, or its address (4 or 16 bytes) and its port.
    """
    cdef ProxyHeader header
    cdef ProxyVerdict verdict = parse_proxy_header(<const uint8_t *>data, len(data), &header)
    if verdict != PROXY_WHOLE:
        return "unfinished" if verdict == PROXY_UNFINISHED else "malformed", 0, None
    if not header.has_client:
        return "whole", header.length, None
    length = 4 if header.family == AF_INET else 16
    return "whole", header.length, ((<const char *>header.address)[:length], header.port)
