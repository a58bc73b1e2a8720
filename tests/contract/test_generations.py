"""What lives as long as an app reads those settings only that need a start; all others are read for each generation."""

import ast
from collections.abc import Iterator
from pathlib import Path

from fastlb.supervisor.settings.declared import NEEDS_START, declared_settings

from .sources import ROOT, code_files, shown

# Files whose objects are made once for the app, and are given its settings.
MADE_ONCE = (
    *("supervisor/dispatcher/", "supervisor/sockets/", "supervisor/output/"),
    "supervisor/limits/watch.py",
    *("supervisor/metrics/of_app.py", "supervisor/statsd/sender.py"),
    *("supervisor/node/conversation.py", "supervisor/node/listen_requests.py", "supervisor/home/log_files.py"),
)
# What they may look at as well: where that matters, a change needs a start (settings/changes.py).
IN_SOME_CASES = {"kind", "cwd"}


def settings_read(path: Path) -> Iterator[str]:
    """Yield the settings that a file reads: `config.NAME`, `self._config.NAME`, `parts.config.NAME`."""
    names = {setting.name for setting in declared_settings()} | IN_SOME_CASES
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in names:
            owner = node.value
            owner_name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if owner_name.endswith("config"):
                yield node.attr


def test_what_is_made_once_reads_only_what_needs_a_start() -> None:
    read = {
        f"{shown(path)}: {name}"
        for path in code_files(["supervisor"], [".py"])
        if shown(path).startswith(MADE_ONCE)
        for name in settings_read(path)
        if name not in NEEDS_START and name not in IN_SOME_CASES
    }
    assert read == set(), "read it for each generation, or say in NEEDS_START why a start is needed"


def test_what_needs_a_start_is_read_by_what_is_made_once() -> None:
    files = [path for path in code_files(["supervisor"], [".py"]) if shown(path).startswith(MADE_ONCE)]
    read = {name for path in files for name in settings_read(path)}
    assert set(NEEDS_START) - read == set()


def test_runtimes_read_settings_by_generation() -> None:
    """The parts that a runtime is made with have the settings of the first generation."""
    for kind in ("python", "node", "fork"):
        text = (ROOT / "supervisor" / kind / "runtime.py").read_text()
        assert "self._parts.config" not in text, kind
        assert "os.environ" not in text, kind


def test_settings_are_found() -> None:
    assert {"backlog", "socket_mode"} <= set(settings_read(ROOT / "supervisor" / "dispatcher" / "refusal.py"))
