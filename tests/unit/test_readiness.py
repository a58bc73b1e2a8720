"""What words of sd_notify mean, and who may say them; where a program listens."""

import os
import subprocess
import sys

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.fork.own_port import own_port
from fastlb.supervisor.processes.ancestry import is_same_or_below
from fastlb.supervisor.readiness.notice import LONGEST_STATUS, Notice, parse_notice
from fastlb.supervisor.settings.app_config import AppConfig


@pytest.mark.parametrize(
    ("datagram", "notice"),
    [
        (b"READY=1", Notice(is_ready=True)),
        (b"READY=1\n", Notice(is_ready=True)),
        (b"STATUS=a=b\nREADY=1\nOTHER=3", Notice(is_ready=True, status="a=b")),
        (b"RELOADING=1\nMONOTONIC_USEC=5", Notice(is_reloading=True)),
        (b"STOPPING=1", Notice(is_stopping=True)),
        (b"WATCHDOG=1", Notice(is_alive=True)),
        (b"WATCHDOG=trigger", Notice(is_failed=True)),
        (b"STATUS=", Notice(status="")),
        (b"STATUS=\xff", Notice(status="\ufffd")),
        (b"STATUS=" + b"x" * 1000, Notice(status="x" * LONGEST_STATUS)),
        (b"READY=0\nSTOPPING=\nWATCHDOG\nready=1\n =1\n\0", Notice()),
        (b"", Notice()),
    ],
)
def test_what_a_datagram_says(datagram: bytes, notice: Notice) -> None:
    assert parse_notice(datagram) == notice


def test_process_below_another_one_is_known_until_it_is_gone() -> None:
    child = "import os, subprocess, sys; print(os.getpid(), flush=True); sys.stdin.read()"
    shell = subprocess.Popen(
        ["sh", "-c", '"$0" -c "$1"; true', sys.executable, child],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with shell:
        assert shell.stdout
        pid = int(shell.stdout.readline())
        assert pid != shell.pid
        assert is_same_or_below(pid, shell.pid)
        assert is_same_or_below(pid, os.getpid())
        assert is_same_or_below(pid, pid)
        assert not is_same_or_below(os.getpid(), pid)
        assert not is_same_or_below(0, os.getpid())
    assert not is_same_or_below(pid, os.getpid())


@pytest.mark.parametrize(
    ("increment_var", "env", "port"),
    [
        ("", {"PORT": "3000"}, 3000),
        ("PORT", {"PORT": " 3001 "}, 3001),
        ("HTTP_PORT", {"PORT": "1", "HTTP_PORT": "8080"}, 8080),
        ("NUMBER", {"PORT": "3000", "NUMBER": "7"}, 3000),
        ("", {"PORT": "65535"}, 65535),
    ],
)
def test_port_of_a_program(increment_var: str, env: dict[str, str], port: int) -> None:
    config = AppConfig(target="x", name="x", increment_var=increment_var)
    assert own_port(config, env, "--ready-when port") == port


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "9" * 50, "3000x", "\u0663"])
def test_port_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="give --env PORT=NUMBER"):
        own_port(AppConfig(target="x", name="x"), {"PORT": text}, "--ready-when port")
