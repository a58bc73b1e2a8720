"""What stands in front of a line of a log: our mark, or PM2's."""

import pytest
from fastlb.cli.log_view.formatting import Look, make_formatter
from fastlb.cli.log_view.records import Record

NUMBERS = {("shop", 1): 7}


@pytest.mark.parametrize(
    ("app", "worker", "as_pm2", "line"),
    [
        ("shop", 1, False, "1|shop err | text\n"),
        ("shop", 1, True, "7|shop | text\n"),
        ("shop", 2, True, "2|shop err | text\n"),
        ("shop", None, True, "shop err | text\n"),
    ],
)
def test_mark(app: str, worker: int | None, as_pm2: bool, line: str) -> None:
    look = Look(pm_id=lambda app, worker: NUMBERS.get((app, worker))) if as_pm2 else Look()
    record = Record(app, "err", b"text", "text", worker=worker)
    assert make_formatter(look, lambda text, **_: text)(record) == line
