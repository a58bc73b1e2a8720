"""Owns the form of a log file that was packed: gzip, with a note in its head of what the index calls the plain file.

Supervisor, which packs, and shell, which reads. A packed file is another one than the plain file, with another number,
and the number of the plain one may be given to a new file as soon as it is gone: so the note has its moment, too. By
the format's own rules (RFC 1952, 2.3.1.1) every other program passes the note over.
"""

import struct
import zlib
from typing import BinaryIO, NamedTuple

HEAD = struct.Struct("<4sI2sH2sHQQ")  # magic and flags, time of the file, two bytes, length of all notes, name, length
MAGIC = b"\x1f\x8b\x08\x04"  # gzip, deflate, with notes
LEAST_EFFORT_ON_UNIX = b"\x02\x03"
NOTE_NAME = b"FL"
NOTE_BYTES = 16
TRAILER = struct.Struct("<II")
RAW_DEFLATE = -15
COPY_BYTES = 1 << 18
MICROSECONDS = 1_000_000


class PackedNote(NamedTuple):
    """What a packed file was. `number`: of the plain one; `packed_at`: when that was, in microseconds."""

    number: int
    packed_at: int


def pack(plain: BinaryIO, target: BinaryIO, number: int, now: float) -> None:
    """Write a file packed. `number`: what the index calls it; `now`: seconds since the epoch.

    Raises:
        OSError: one of them cannot be read or written.
    """
    deflate = zlib.compressobj(9, zlib.DEFLATED, RAW_DEFLATE)
    packed_at = int(now * MICROSECONDS)
    head = (MAGIC, 0, LEAST_EFFORT_ON_UNIX, 4 + NOTE_BYTES, NOTE_NAME, NOTE_BYTES, number, packed_at)
    target.write(HEAD.pack(*head))
    checksum = size = 0
    while part := plain.read(COPY_BYTES):
        checksum = zlib.crc32(part, checksum)
        size += len(part)
        target.write(deflate.compress(part))
    target.write(deflate.flush())
    target.write(TRAILER.pack(checksum, size & 0xFFFFFFFF))


def packed_note(head: bytes) -> PackedNote | None:
    """Return the note in the first bytes (HEAD.size) of a packed file; None: another program has packed it."""
    if len(head) < HEAD.size:
        return None
    magic, _, _, _, name, length, number, packed_at = HEAD.unpack_from(head)
    if magic != MAGIC or name != NOTE_NAME or length != NOTE_BYTES:
        return None
    return PackedNote(number, packed_at)
