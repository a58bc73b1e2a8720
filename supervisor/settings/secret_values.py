"""Owns what of `--env` is secret, and that no message of ours shows it. Pure; supervisor and shell.

A value is secret by the name of its variable, or because it is an address with a password in it. What the workers
themselves write is theirs: it goes to their logs as it is.
"""

import re
from collections.abc import Mapping

HIDDEN = "***"
# Shorter ones are words that stand everywhere: "on", "test".
SHORTEST = 6
_NAME = re.compile(r"SECRET|TOKEN|PASS(WORD|WD|PHRASE)|PWD$|API_?KEY|PRIVATE|CREDENTIAL|AUTH|_KEY$|^KEY$|_DSN$", re.I)
_ADDRESS = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")


class SecretValues:
    """The secret values among the variables of an app; `envs`: those of each of its generations."""

    def __init__(self, *envs: Mapping[str, str]) -> None:
        variables = {pair for env in envs for pair in env.items()}
        found = {value for name, value in variables if _NAME.search(name)}
        found |= {password for _, value in variables for password in _ADDRESS.findall(value)}
        longest_first = sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True)
        self._found = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hide(self, text: str) -> str:
        """Return `text` with `***` in place of each secret value."""
        return self._found.sub(HIDDEN, text) if self._found else text
