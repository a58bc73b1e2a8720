"""Owns the form of a path in which variables stand: `logs/${name}-${instance}.log`. Pure; any process."""

import re
from collections.abc import Mapping

VARIABLES = ("name", "instance", "pid", "date")
_VARIABLE = re.compile(r"\$\{(\w*)\}")


def check_template(text: str) -> None:
    """Raise unless all variables in a path are known.

    Raises:
        ValueError: names the variable, and those that there are.
    """
    for variable in _VARIABLE.findall(text):
        if variable not in VARIABLES:
            known = ", ".join(f"${{{name}}}" for name in VARIABLES)
            raise ValueError(f"there is no ${{{variable}}}: a path may contain {known}")


def expand(text: str, values: Mapping[str, str]) -> str:
    """Return the path with these values of its variables, which must be known."""
    return _VARIABLE.sub(lambda match: values[match.group(1)], text)


def fixed_parts(text: str, values: Mapping[str, str]) -> list[str]:
    """Return what stands between the variables of which `values` tells nothing."""
    marked = _VARIABLE.sub(lambda match: values.get(match.group(1), "\0"), text)
    return marked.split("\0")
