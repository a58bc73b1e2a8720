"""Owns reading JSON, with comments, trailing commas and whatever else JSON5 allows. Pure; the user's shell."""

import json
import re
from typing import Any

from ..places import KeyPlaces, Place
from .braces import keys_in_braces
from .errors import NotReadable


def read_json(text: str, file: str) -> tuple[Any, KeyPlaces]:
    """Return the data in `text`, and where its keys stand; `file`: for messages.

    Raises:
        NotReadable: it is no JSON5.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = _read_json5(text, file)
    return data, KeyPlaces(file, keys_in_braces(text), exact=True)


def _read_json5(text: str, file: str) -> Any:
    import json5  # slow, and only comments need it

    try:
        return json5.loads(text)
    except RecursionError:
        raise NotReadable(Place(file), "it is nested too deeply") from None
    except ValueError as error:
        found = re.match(r"<string>:(\d+) (.*?)(?: at column (\d+))?$", str(error), re.DOTALL)
        line, problem, column = found.groups() if found else (0, str(error), 0)
        raise NotReadable(Place(file, int(line), int(column or 1)), f"this is no JSON: {problem}") from None
