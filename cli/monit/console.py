"""Owns the console on the terminal: apps, workers, graphs, output, and keys that ask an app for something.

Runs in the user's shell; textual draws. Supervisors are asked in threads, so that one that hangs holds up no key.
What apps have written never steers the terminal. Nothing is done to an app without a second key.
"""

import asyncio
import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.widgets import Footer, RichLog, Sparkline, Static

from ...supervisor.control.client import ControlClient
from ...supervisor.errors import FastlbError
from ...supervisor.safe_text import escape_line as plain
from ..apps import AppState
from ..output import Table
from .asking import follow, perform
from .cells import app_rows, format_rate, worker_rows
from .dialogs import Confirm, HowMany
from .history import AppHistory, Histories
from .table_view import TableView

INTERVAL = 2.0
LOG_INTERVAL = 0.25
LOG_LINES = 500
WAITING_LINES = 200  # of a storm, the last before the next look are shown
ANSWER_LINES = 5
GRAPHS = (("req/s", "requests"), ("cpu %", "cpu_percent"), ("memory", "memory_bytes"), ("p99 ms", "p99_ms"))


class MonitApp(App[None]):
    """The console.

    Args:
        read: returns how all apps are; called in a thread.
        interval: seconds between two looks.

    Attributes:
        chosen: the name of the app that is looked at; empty: there is none.
    """

    TITLE = "fastlb"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    CSS = """
    #apps { height: auto; max-height: 40%; min-height: 3; padding: 0 1; }
    #middle { height: 1fr; min-height: 5; }
    #workers { width: 2fr; padding: 0 1; }
    #graphs { width: 1fr; padding: 0 1; }
    #graphs Static { height: 1; }
    #graphs Sparkline { height: 1fr; min-height: 1; }
    #word { height: 1; padding: 0 1; }
    #output { height: 30%; min-height: 4; border-top: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "choose(-1)", "Up", show=False),
        Binding("down,j", "choose(1)", "Down", show=False),
        ("r", "ask('reload')", "Reload"),
        ("R", "ask('restart')", "Restart"),
        ("s", "scale", "Scale"),
        ("x", "ask('stop')", "Stop"),
        ("l", "focus_output", "Output"),
        ("q", "quit", "Quit"),
    ]

    def __init__(self, read: Callable[[], Sequence[AppState]], interval: float = INTERVAL) -> None:
        super().__init__()
        self._interval = interval
        self._read = read
        self._histories = Histories()
        self.chosen = ""
        self._following: tuple[str, ControlClient | None] = ("", None)
        self._waiting: deque[str] = deque(maxlen=WAITING_LINES)
        self._is_line_due = False

    def compose(self) -> ComposeResult:
        """Yield the parts from top to bottom."""
        yield TableView(app_rows([]), "apps")
        with Horizontal(id="middle"):
            yield TableView(Table((), ()), "workers")
            with Vertical(id="graphs"):
                for label, name in GRAPHS:
                    yield Static(label, id=f"label-{name}")
                    yield Sparkline([], id=f"graph-{name}")
        yield Static(id="word")
        yield RichLog(id="output", max_lines=LOG_LINES, markup=False, wrap=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look. Whoever ends us gets the terminal back as it was."""
        if not self.is_headless:
            end = partial(self.exit, return_code=128 + signal.SIGTERM)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        self.set_interval(self._interval, self.look)
        self.look()

    @work(thread=True, exclusive=True, group="look")
    def look(self) -> None:
        """Ask all apps, in a thread, and show what they say."""
        try:
            states = self._read()
        except FastlbError as error:
            self._pass_on(self.say, error.message)
            return
        self._pass_on(self._show, states, time.monotonic())

    def _pass_on(self, show: Callable[..., None], *arguments: object) -> None:
        """Have something shown that a thread has brought."""
        with contextlib.suppress(NoMatches, RuntimeError):  # the console is being left
            self.call_from_thread(show, *arguments)

    def _show(self, states: Sequence[AppState], now: float) -> None:
        self._histories.note(states, now)
        if self.chosen not in self._histories.apps:
            self.chosen = next(iter(self._histories.apps), "")
        self._show_chosen()
        if not self._histories.apps:
            self.say("no apps yet: start one with `fastlb start MODULE:ATTRIBUTE`")

    def _show_chosen(self) -> None:
        self.query_one("#apps", TableView).show(app_rows([*self._histories.apps.values()]), self.chosen)
        app = self._histories.apps.get(self.chosen)
        if app is None:
            return
        self.query_one("#workers", TableView).show(worker_rows(app))
        for label, name in GRAPHS:
            values = list(getattr(app, name))
            self.query_one(f"#graph-{name}", Sparkline).data = values
            self.query_one(f"#label-{name}", Static).update(f"{label} {graph_figure(name, values)}")
        self._follow(app)
        if app.problem:
            self.say(app.problem)

    def action_choose(self, step: int) -> None:
        """Look at an app further down, or up."""
        names = [*self._histories.apps]
        if names:
            at = names.index(self.chosen) + step
            self.chosen = names[min(max(at, 0), len(names) - 1)]
            self._show_chosen()

    @property
    def is_following(self) -> bool:
        """Whether the output of an app is read along."""
        return self._following[1] is not None

    def say(self, text: str) -> None:
        """Show a sentence above the output."""
        self.query_one("#word", Static).update(Text(plain(text)))

    # What apps write.

    def _follow(self, app: AppHistory) -> None:
        """Follow the output of an app instead of that of the one before."""
        name, client = self._following
        if app.entry.pid is None or name == app.entry.name:
            return
        if client:
            client.interrupt()
        self._following = (app.entry.name, None)
        self._waiting.clear()
        self.query_one("#output", RichLog).clear()
        threading.Thread(target=self._read_along, args=(app.entry.name,), daemon=True).start()

    def _read_along(self, name: str) -> None:
        def begun(client: ControlClient) -> None:
            if self._following[0] == name:
                self._following = (name, client)
            else:
                client.interrupt()

        for line in follow(name, begun):
            if self._following[0] != name:
                return
            self._take_line(line)
        if self._following[0] == name:
            self._following = ("", None)  # it ends, or does not answer: the next look tries again

    def _take_line(self, line: str) -> None:
        """Show a line soon, with others that come until then; any thread calls this."""
        self._waiting.append(line)
        if not self._is_line_due:
            self._is_line_due = True
            self.call_later(self.set_timer, LOG_INTERVAL, self._show_lines)

    def _show_lines(self) -> None:
        self._is_line_due = False
        output = self.query_one("#output", RichLog)
        for _ in range(len(self._waiting)):
            output.write(Text.from_ansi(self._waiting.popleft(), no_wrap=True))

    # What is asked of apps.

    def action_focus_output(self) -> None:
        """Have the keys scroll the output, or the apps again."""
        output = self.query_one("#output", RichLog)
        self.set_focus(None if output.has_focus else output)

    def action_ask(self, method: str) -> None:
        """Ask for something that needs no more words, after a second key."""
        if name := self.chosen:
            question = f"{method} {name}?"
            self.push_screen(Confirm(question), lambda is_sure: self._perform(name, method) if is_sure else None)

    def action_scale(self) -> None:
        """Ask how many workers there are to be."""
        if not (name := self.chosen):
            return
        present = self._histories.apps[name].entry.target_workers

        def scale(workers: int | None) -> None:
            if workers is not None:
                self._perform(name, "scale", workers)

        self.push_screen(HowMany(name, present), scale)

    def _perform(self, name: str, method: str, workers: int | None = None) -> None:
        self.say(f"{name}: {method} ...")
        threading.Thread(target=self._carry_out, args=(name, method, workers), daemon=True).start()

    def _carry_out(self, name: str, method: str, workers: int | None) -> None:
        def tell(text: str) -> None:
            self._pass_on(self.say, f"{name}: {text}")

        try:
            tell(perform(name, method, workers, tell))
        except FastlbError as error:
            details = error.details.splitlines()[-ANSWER_LINES:]
            for line in details:
                self._take_line(plain(line))
            tell(f"{method} failed: {error.message}")
        self.call_later(self.look)

    async def action_quit(self) -> None:
        """Leave; what was asked for goes on."""
        if client := self._following[1]:
            client.interrupt()
        self.exit()


def graph_figure(name: str, values: Sequence[float]) -> str:
    """Return the newest of a series as its label says it."""
    if not values:
        return ""
    newest = values[-1]
    return f"{newest / (1 << 20):.0f}M" if name == "memory_bytes" else format_rate(newest)

