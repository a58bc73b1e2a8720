"""Owns the functions that an app offers as actions, and the event loop that its coroutines run on.

Runs in workers, and wherever else the app is imported: importing it must cost nothing.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

MAX_NAME_CHARACTERS = 64

Action = Callable[..., Any]


class ActionRegistry:
    """The app's actions in this process.

    Attributes:
        functions: by name.
        loop: that serves the app; None: it does not yet.
    """

    def __init__(self) -> None:
        self.functions: dict[str, Action] = {}
        self.loop: AbstractEventLoop | None = None

    def add(self, name: str, function: Action) -> None:
        """Offer `function` under a name; one of before under the same name is no longer offered.

        Raises:
            ValueError: it cannot be typed as one word, or is too long.
        """
        if not name.isprintable() or " " in name or not 0 < len(name) <= MAX_NAME_CHARACTERS or name.startswith("-"):
            raise ValueError(f"{name!r} cannot name an action: one word of 1 to {MAX_NAME_CHARACTERS} characters can")
        self.functions[name] = function


actions_of_this_process = ActionRegistry()
