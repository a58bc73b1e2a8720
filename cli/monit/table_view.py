"""Owns how a table looks in the console: one text, as wide as there is room. Runs in the user's shell.

textual's own DataTable draws cell by cell: a look at eight workers would cost ten times as much.
"""

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from ...supervisor.safe_text import escape_line
from ..output import STATUS_COLORS, Table, column_widths, fitted

NARROWEST = 20


class TableView(VerticalScroll, can_focus=False):
    """Shows a table.

    Args:
        table: at first.
        name: by which it is found, and styled.

    Attributes:
        table: as it is shown, without the columns for which there is no room.
    """

    def __init__(self, table: Table, name: str) -> None:
        self._text = Static()
        super().__init__(self._text, id=name)
        self.table = table
        self._shown = Text()

    def show(self, table: Table, chosen: str = "") -> None:
        """Show a table; the row whose first cell is `chosen` stands out, and is in view."""
        self.table = fitted(table, max(self.size.width - 1, NARROWEST))
        text = table_text(self.table, chosen)
        if text != self._shown:
            has_other_size = text.plain.count("\n") != self._shown.plain.count("\n")
            self._shown = text
            self._text.update(text, layout=has_other_size)
        line = next((at for at, row in enumerate(table.rows, 1) if row[0] == chosen), 0)
        if line and not self.scroll_y <= line < self.scroll_y + self.size.height:
            self.scroll_to(y=line, animate=False)


def table_text(table: Table, chosen: str) -> Text:
    """Return a table as lines below each other."""
    widths = column_widths(table)
    text = Text(no_wrap=True)
    for at, cells in enumerate([[column.title for column in table.columns], *table.rows]):
        begin = len(text)
        for column, cell, width in zip(table.columns, cells, widths, strict=True):
            padding = " " * (width - len(cell))
            style = STATUS_COLORS.get(cell, "") if column.kind == "status" and at else ""
            is_number = column.kind == "number"
            text.append(padding if is_number else "").append(escape_line(cell), style)
            text.append((padding if not is_number else "") + " " * table.gap)
        if not at:
            text.stylize("bold", begin)
        elif cells[0] == chosen:
            text.stylize("reverse", begin)
        text.append("\n")
    return text
