"""Owns the questions that the console asks before it does something. Runs in the user's shell."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ...supervisor.settings.app_config import MAX_WORKERS

BOX = """
%s { align: center middle; }
%s > Vertical { width: 60; max-width: 90%%; height: auto; border: round $primary; padding: 0 1; background: $surface; }
"""


class Confirm(ModalScreen[bool]):
    """Asks whether something is to be done: y, or anything else."""

    DEFAULT_CSS = BOX % ("Confirm", "Confirm")
    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "Yes"),
        ("n,escape,enter,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Yield the question."""
        yield Vertical(Static(Text(self._question)), Static("y: yes    n: no"))

    def action_answer(self, is_sure: bool) -> None:
        """Close, and tell the answer."""
        self.dismiss(is_sure)


class HowMany(ModalScreen[int | None]):
    """Asks how many workers an app is to have."""

    DEFAULT_CSS = BOX % ("HowMany", "HowMany")
    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "leave", "No change")]

    def __init__(self, name: str, present: int) -> None:
        super().__init__()
        self._app_name = name
        self._present = present

    def compose(self) -> ComposeResult:
        """Yield the question and a field."""
        field = Input(str(self._present or 1), type="integer", max_length=3)
        yield Vertical(Static(Text(f"how many workers is {self._app_name} to have?")), field, Static("", id="mistake"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close, and tell the number, if it can be."""
        number = int(event.value) if event.value.isdecimal() else 0
        if 1 <= number <= MAX_WORKERS:
            self.dismiss(number)
        else:
            self.query_one("#mistake", Static).update(f"1 to {MAX_WORKERS}; escape: no change")

    def action_leave(self) -> None:
        """Close without a number."""
        self.dismiss(None)
