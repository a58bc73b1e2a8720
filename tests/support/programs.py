"""Owns programs for fork mode, written as a test needs them, and how they are started. Runs in the test process."""

from pathlib import Path

from .fastlb_process import App, CliResult, Fastlb, describe

QUICK = ("--settle", "0.2", "--restart-delay", "10ms")


def write_program(path: Path, *lines: str, first: str = "#!/bin/bash") -> Path:
    """Write an executable script; return its path."""
    path.write_text("\n".join([first, *lines, ""]))
    path.chmod(0o755)
    return path


def try_program(fastlb: Fastlb, directory: Path, *args: str, name: str = "app") -> CliResult:
    """Start something in `directory`, whatever comes of it; it settles quickly. `args`: as one would type them."""
    settle = () if "--settle" in args else QUICK
    return fastlb.cli("start", "--name", name, *settle, *args, cwd=directory)


def start_program(fastlb: Fastlb, directory: Path, *args: str, name: str = "app") -> App:
    """Start something in `directory`, which must succeed."""
    result = try_program(fastlb, directory, *args, name=name)
    assert result.returncode == 0, f"{args}: {describe(result)}\n{fastlb.logs_text()}"
    return fastlb.app(name)
