"""Owns the message about an operation under way: supervisor to command line. No I/O."""

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """How far a start, reload, restart or scale has come.

    Attributes:
        text: one sentence for the user.
        admitted: workers that the operation has made ready or replaced so far; those of a start and of a scale
            are admitted together, when all are ready.
        workers: workers that it wants there in the end.
    """

    text: str
    admitted: int
    workers: int
