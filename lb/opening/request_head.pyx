"""Owns the way from Python to the search in a request's head (request_head.pxd).

Runs in tests, in no process of a running app: they call the very code that the dispatcher runs.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset

from fastlb.lb.opening.networks cimport MAX_NETWORKS

MOST_BYTES = HEAD_BYTES


def is_whole(bytes data):
    """Return whether nothing more is to come of a head (not empty) that could be looked at."""
    return is_head_whole(<const uint8_t *>data, min(len(data), HEAD_BYTES))


def key(bytes data, bytes cookie=b"", bint believed=True, tuple proxies=()):
    """Return what the client of a request is known by, 0: nothing.

    `cookie`: name of the cookie that counts. `believed`: the peer is a proxy. `proxies`: addresses (16 bytes) and bits.
    """
    cdef HeadRules rules
    cdef NetworkList known
    memset(&rules, 0, sizeof(rules))
    memset(&known, 0, sizeof(known))
    if len(cookie) > COOKIE_NAME_BYTES or len(proxies) > MAX_NETWORKS:
        raise ValueError("cookie or proxies are too long")
    rules.believes_forwarded, rules.cookie_bytes = believed, len(cookie)
    memcpy(rules.cookie, <const char *>cookie, len(cookie))
    known.count = len(proxies)
    for index, (address, bits) in enumerate(proxies):
        memcpy(known.networks[index].address, <const char *>address, 16)
        known.networks[index].bits = bits
    return key_in_head(<const uint8_t *>data, len(data), &rules, &known)
