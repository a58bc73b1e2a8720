"""Shells complete commands, names of apps, values and files; as `pm2`, too."""

import os
import shutil
import subprocess

import pytest
from fastlb.supervisor.home.paths import AppPaths

from tests.support.fastlb_process import COMMAND, Fastlb
from tests.support.waiting import scaled

# Prints what bash would offer for the words behind it.
ASK_BASH = """
eval "$(fastlb completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_fastlb_completion "$1" 2>/dev/null
echo "${COMPREPLY[@]}"
"""


def offered(fastlb: Fastlb, *words: str) -> list[str]:
    env = fastlb.env | {"PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}
    command = ["bash", "-c", ASK_BASH, "bash", *words]
    options = {"capture_output": True, "text": True, "timeout": scaled(20), "cwd": fastlb.directory}
    return subprocess.run(command, env=env, check=True, **options).stdout.split()  # type: ignore[call-overload,no-any-return]


def test_bash_is_offered_commands_names_and_values(fastlb: Fastlb, stopped: AppPaths) -> None:
    assert {"start", "save", "completion"} <= set(offered(fastlb, "fastlb", ""))
    assert offered(fastlb, "fastlb", "show", "sh") == ["shop"]
    assert offered(fastlb, "fastlb", "start", "--kill-signal", "SIGI") == ["SIGINT"]
    link = fastlb.directory / "pm2"
    link.symlink_to(COMMAND)
    assert offered(fastlb, str(link), "describe", "sh") == ["shop"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_lines_are_understood_by_the_shell(fastlb: Fastlb, shell: str) -> None:
    text = fastlb.ok("completion", shell).stdout
    assert "_FASTLB_COMPLETE" in text
    assert "pm2" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True, timeout=scaled(20))


def test_other_shells_are_refused(fastlb: Fastlb) -> None:
    assert "'bash', 'zsh', 'fish'" in fastlb.cli("completion", "tcsh").stderr
