"""Which process belongs to which incarnation: tokens, and what is read of a process."""

import os
import subprocess
from pathlib import Path

import pytest
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.strays.of_app import named
from fastlb.supervisor.strays.search import find_carriers, read_token
from fastlb.supervisor.strays.token import VARIABLE, new_run, no_run, without_token

SHOP = AppPaths(Path("/srv/a/.fastlb"), "shop")
OTHERS = [AppPaths(Path("/srv/a/.fastlb"), "shop2"), AppPaths(Path("/srv/b/.fastlb"), "shop")]


def test_token_is_of_one_incarnation() -> None:
    run = new_run(SHOP)
    value = run.environment(1)[VARIABLE]
    assert run.is_of(value, 1)
    assert not run.is_of(value, 11)
    assert not run.is_of(run.environment(11)[VARIABLE], 1)
    assert not new_run(SHOP).is_of(value, 1)


def test_what_another_run_of_the_same_app_has_left_is_left_over() -> None:
    run = new_run(SHOP)
    value = run.environment(1)[VARIABLE]
    assert not run.is_left_over(value)
    assert new_run(SHOP).is_left_over(value)
    assert no_run(SHOP).is_left_over(value)


@pytest.mark.parametrize("paths", OTHERS, ids=repr)
def test_other_apps_are_none_of_ours(paths: AppPaths) -> None:
    value = new_run(paths).environment(1)[VARIABLE]
    assert not no_run(SHOP).is_left_over(value)


@pytest.mark.parametrize("value", ["", ".", "..", "a", "é.1.1"])
def test_nonsense_is_nobodys(value: str) -> None:
    assert not no_run(SHOP).is_left_over(value)


def test_environment_of_a_process_is_read_whole() -> None:
    env = {f"NOT_{VARIABLE}": "a", f"{VARIABLE}_TOO": "b", "X": f"{VARIABLE}=c", VARIABLE: "mine"}
    with subprocess.Popen(["sleep", "100"], env=env) as process, subprocess.Popen(["sleep", "100"], env={}) as other:
        try:
            assert read_token(process.pid) == "mine"
            assert read_token(other.pid) == ""
            pids = [0, -1, 1, os.getpid(), 2**30, other.pid, process.pid]
            found = find_carriers(pids, lambda value: value == "mine")
            assert [held.pid for held in found] == [process.pid]
            for held in found:
                held.close()
        finally:
            process.kill()
            other.kill()
        process.wait()
    assert find_carriers([process.pid], lambda value: True) == []


def test_supervisor_of_another_app_is_started_without_the_token() -> None:
    assert without_token({VARIABLE: "a", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_log_names_some_and_counts_the_rest() -> None:
    assert named([3, 4]) == "3,4"
    assert named(list(range(22))).endswith(",18,19 and 2 more")
