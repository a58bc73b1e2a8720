"""Owns the questions that the console asks before it does something. Runs in the user's shell."""

import contextlib
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.screen import ModalScreen
from textual.widgets import Static

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
    """Asks how many workers an app is to have.

    It has no field: one gets keys when it has the focus, which is later than when the dialog is asked for, and what is
    typed until then would be lost. The first digit replaces the number that is there.
    """

    DEFAULT_CSS = BOX % ("HowMany", "HowMany")
    BINDINGS: ClassVar[list[BindingType]] = [
        *((str(digit), f"digit({digit})", str(digit)) for digit in range(10)),
        ("backspace,delete", "erase", "Erase"),
        ("enter", "submit", "Scale"),
        ("escape,q", "leave", "No change"),
    ]

    def __init__(self, name: str, present: int) -> None:
        super().__init__()
        self._app_name = name
        self._typed = str(present or 1)
        self._is_typed = False
        self._mistake = ""

    def compose(self) -> ComposeResult:
        """Yield the question, the number, and what is wrong with it."""
        question = Static(Text(f"how many workers is {self._app_name} to have?"))
        yield Vertical(question, Static(id="number"), Static(id="mistake"), Static("enter: scale    escape: no change"))

    def on_mount(self) -> None:
        """Show what may have been typed by now."""
        self._show()

    def action_digit(self, digit: int) -> None:
        """Add a digit."""
        before = self._typed if self._is_typed else ""
        self._type(f"{before}{digit}"[: len(str(MAX_WORKERS))])

    def action_erase(self) -> None:
        """Take the last digit away; at first the number that was there."""
        self._type(self._typed[:-1] if self._is_typed else "")

    def action_submit(self) -> None:
        """Close, and tell the number, if it can be."""
        number = int(self._typed or 0)
        if 1 <= number <= MAX_WORKERS:
            self.dismiss(number)
        else:
            self._mistake = f"1 to {MAX_WORKERS}; escape: no change"
            self._show()

    def action_leave(self) -> None:
        """Close without a number."""
        self.dismiss(None)

    def _type(self, text: str) -> None:
        self._typed, self._is_typed, self._mistake = text, True, ""
        self._show()

    def _show(self) -> None:
        style = "" if self._is_typed else "reverse"
        with contextlib.suppress(NoMatches):  # nothing is there yet: it is shown when it is
            self.query_one("#number", Static).update(Text.assemble("> ", (self._typed, style), ("_", "blink")))
            self.query_one("#mistake", Static).update(self._mistake)
