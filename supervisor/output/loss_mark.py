"""Owns the line that stands where lines were lost. Runs in the supervisor process."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from ..settings.app_config import AppConfig
from . import wall_clock

Mark = Callable[[int], bytes]
SENTENCE = "[fastlb] {} lines were lost here: the disk did not take them"


def text_mark(count: int) -> bytes:
    """Return the mark for a file of text."""
    return SENTENCE.format(count).encode() + b"\n"


def make_mark(config: AppConfig) -> Mark:
    """Return what makes marks as the other lines of an app's files are: text, or a JSON object of them."""
    if config.log_type == "text":
        return text_mark

    def json_mark(count: int) -> bytes:
        time = datetime.fromtimestamp(wall_clock.now(), UTC).astimezone().isoformat(timespec="milliseconds")
        members = {"timestamp": time, "app": config.name, "stream": "err", "message": SENTENCE.format(count)}
        return msgspec.json.encode(members | {"lost_lines": count}) + b"\n"

    return json_mark
