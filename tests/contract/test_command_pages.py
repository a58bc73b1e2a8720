"""Pages that are made of the commands and of PM2's tables are up to date, as are the schemas of what --json prints."""

import pytest
from fastlb.cli import command_page, pm2_page
from fastlb.cli.json_schemas import PRINTED, schema_text

from .pages import DOCS


@pytest.mark.parametrize(
    ("name", "text"), [("commands.md", command_page.page()), ("coming-from-pm2.md", pm2_page.page())]
)
def test_page_is_up_to_date(name: str, text: str) -> None:
    assert (DOCS / name).read_text() == text, "run `make docs`"


@pytest.mark.parametrize("name", PRINTED)
def test_schema_is_up_to_date(name: str) -> None:
    assert (DOCS / "json" / f"{name}.schema.json").read_text() == schema_text(name), "run `make docs`"


def test_no_other_schema_is_there() -> None:
    assert {path.name for path in (DOCS / "json").iterdir()} == {f"{name}.schema.json" for name in PRINTED}
