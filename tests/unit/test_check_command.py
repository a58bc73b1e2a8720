"""Whether the command of a health check is there is found out before a start."""

from pathlib import Path

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.processes.check_command import refuse_missing_check
from fastlb.supervisor.settings.app_config import AppConfig


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Holds a program, and a file that is none."""
    for name, mode in (("check", 0o755), ("notes", 0o644)):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    return tmp_path


def refuse(directory: Path, check: str) -> None:
    config = AppConfig(target="app.sh", name="app", cwd=str(directory), health_check=check)
    refuse_missing_check(config, {"PATH": str(directory)})


@pytest.mark.parametrize("check", ["check --fast", "./check", "exec:{}/check", "/health", "tcp", ""])
def test_what_is_there(directory: Path, check: str) -> None:
    refuse(directory, check.format(directory))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("nothing", "there is no program nothing on PATH"),
        ("notes", "there is no program notes on PATH"),
        ("./nothing", "there is no file .*/nothing"),
        ("exec:/nothing", "there is no file /nothing"),
        ("./notes", "notes may not be executed: `chmod"),
        ("check 'unfinished", "quote it as for a shell"),
    ],
)
def test_what_is_not_there(directory: Path, check: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        refuse(directory, check)
