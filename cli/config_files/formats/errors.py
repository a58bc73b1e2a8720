"""Owns the failure of a file that cannot be read as what it is. The user's shell."""

from ....supervisor.errors import UsageError
from ..places import Place


class NotReadable(UsageError):
    """A file is no valid JSON, YAML, TOML or JavaScript, or there is more in it than data.

    Args:
        place: where.
        problem: a sentence that says what is wrong and what to do.
        details: the line of code, for one.
        stack: all that node says, for whoever asks for it.
    """

    def __init__(self, place: Place, problem: str, *, details: str = "", stack: str = "") -> None:
        super().__init__(f"{place}: {problem}", details=details)
        self.place = place
        self.problem = problem
        self.stack = stack
