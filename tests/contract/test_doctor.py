"""docs/doctor.md names everything that doctor looks at, and nothing else."""

import re

from .pages import CODE, DOCS, section, table_rows
from .sources import code_files

# In calls, and as a constant.
NAME = re.compile(r'check="([^"]+)"|^CHECK = "([^"]+)"', re.MULTILINE)


def test_every_check_has_its_row() -> None:
    texts = [path.read_text() for path in code_files(["cli"], [".py"]) if path.parent.name == "doctor"]
    checks = {first or second for text in texts for first, second in NAME.findall(text)}
    assert {"kernel", "spread of load", "accept queue"} <= checks
    rows = [
        CODE.findall(row[0])[0] for row in table_rows(section(DOCS / "doctor.md", "What is looked at")) if "`" in row[0]
    ]
    assert sorted(rows) == sorted(checks)
