"""Owns reading YAML as PM2's reader does: the core schema of YAML 1.2, in which `yes` and `on` are texts.

Pure; the user's shell. Nothing in a file can make an object of any class.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from ..places import FoundKey, KeyPath, KeyPlaces, Place
from .errors import NotReadable
from .plain import DEEPEST, MOST_VALUES

_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    # A number with a zero in front is a mode, as of chmod: it stays a text.
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": (r"<<", "<"),
}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of the core schema, and no others."""


_Loader.yaml_implicit_resolvers = {}


for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))


def read_yaml(text: str, file: str) -> tuple[Any, KeyPlaces]:
    """Return the data in `text`, and where its keys stand; `file`: for messages.

    Raises:
        NotReadable: it is no YAML, or more than one document.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        keys = list(_keys(node)) if node else []
        data = loader.construct_document(node) if node else None
    except RecursionError:
        raise NotReadable(Place(file), "it is nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        raise NotReadable(place, f"this is no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise NotReadable(Place(file), f"this is no YAML: {str(error).splitlines()[0]}") from None
    finally:
        loader.dispose()
    return data, KeyPlaces(file, keys, exact=False)


def _keys(root: yaml.Node) -> Iterator[FoundKey]:
    """Yield the keys below `root`, also where an alias repeats them, up to the bounds of what is accepted at all."""
    waiting: list[tuple[yaml.Node, KeyPath]] = [(root, ())]
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        node, path = waiting.pop()
        if len(path) > DEEPEST:
            continue
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield FoundKey((*path, index), item.start_mark.line + 1, item.start_mark.column + 1)
                waiting.append((item, (*path, index)))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                mark = key.start_mark
                inner = (*path, str(key.value))
                yield FoundKey(inner, mark.line + 1, mark.column + 1)
                waiting.append((value, inner))
