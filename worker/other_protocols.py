"""Owns the finding of requests of other protocols which llhttp reads as well: RTSP and ICE (Icecast).

Runs in workers of both kinds. Pure. The parser does not tell which protocol a request line named, and its version
number looks like HTTP's.
"""

import re

REQUEST_LINE = re.compile(rb"(?:^|\n)[A-Z-]+ [^ \r\n]+ (?:RTSP|ICE)/")


def find_other_protocol(data: bytes) -> int:
    """Return where the first line begins that would be a request line of another protocol; -1: there is none.

    Such a line may be a part of a body: whether a message begins there is for the caller to find out.
    """
    if b" RTSP/" not in data and b" ICE/" not in data:
        return -1
    found = REQUEST_LINE.search(data)
    if found is None:
        return -1
    return found.start() + (data[found.start() : found.start() + 1] == b"\n")
