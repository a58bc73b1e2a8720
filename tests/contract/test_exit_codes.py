"""Every exit code stands in one table, and the page about them is made of it."""

import ast

from fastlb.cli.exit_codes import page
from fastlb.supervisor.errors import EXIT_CODES

from .sources import ROOT, code_files, shown

TABLE = "supervisor/errors.py"
OF_WORKERS = "worker/wire.py"


def exit_codes_of_the_code() -> list[tuple[str, str, int]]:
    """Return file, name and value of each constant that is called an exit code."""
    return [
        (shown(path), target.id, node.value.value)
        for path in code_files(["supervisor", "cli", "worker"], [".py"])
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, int)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id.startswith("EXIT_")
    ]


def test_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "exit-codes.md").read_text() == page(), "run `make docs`"


def test_every_exit_code_is_declared_beside_the_table_and_stands_in_it() -> None:
    found = exit_codes_of_the_code()
    assert {"EXIT_FAILURE", "EXIT_USAGE"} <= {name for _, name, _ in found}
    assert [entry for entry in found if entry[0] not in (TABLE, OF_WORKERS)] == []
    assert {0, *(code for file, _, code in found if file == TABLE)} == set(EXIT_CODES)
    assert all(f"| {code} |" in page() for _, _, code in found)
