"""What the processes of an app find in their environment, read from /proc, for each kind of worker."""

from pathlib import Path

import pytest

from tests.contract.pages import CODE, DOCS, section, table_rows
from tests.support.fastlb_process import RUN_MARK, App, Fastlb, describe
from tests.support.node_driver import start_node
from tests.support.programs import start_program, write_program
from tests.support.waiting import wait_until

# What a supervisor is told, and no app is to hear.
NOT_FOR_THE_APP = {
    "FASTLB_KILL_TIMEOUT": "5s",
    "NOTIFY_SOCKET": "/nowhere",
    "WATCHDOG_USEC": "1000000",
    "JOURNAL_STREAM": "8:1",
    "LISTEN_FDNAMES": "x",
}
KINDS = ["python", "node", "fork"]
OPTIONS = {"PORT"}  # by --env, of the driver


def environment_of(pid: int) -> dict[str, str]:
    """Return what a process was started with."""
    pairs = (line.partition("=") for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line)
    return {name: value for name, _, value in pairs}


def start(fastlb: Fastlb, kind: str, directory: Path, *options: str) -> App:
    """Start an app of a kind, with two workers."""
    if kind == "python":
        return fastlb.start("asgi_probe:app", "-w", "2", *options)
    if kind == "node":
        return start_node(fastlb, "http.js", *options)
    write_program(directory / "worker.sh", "sleep 1000 & wait")
    return start_program(fastlb, directory, "--fork", "worker.sh", "-w", "2", *options)


def documented() -> set[str]:
    """Return the variables that docs/environment.md says an app gets from us."""
    rows = table_rows(section(DOCS / "environment.md", "What an app sees"))
    return {name for row in rows if len(row) == 3 for name in CODE.findall(row[0])}


@pytest.mark.parametrize("kind", KINDS)
def test_app_finds_the_shell_and_what_is_documented(fastlb: Fastlb, tmp_path: Path, kind: str) -> None:
    # No locale is set: Python puts one into its own environment then.
    shell = {name: fastlb.env[name] for name in ("PATH", "HOME", "FASTLB_HOME", RUN_MARK, "FASTLB_TEST_LEDGER")}
    fastlb.env = {**shell, **NOT_FOR_THE_APP, "ODD": "a=b c", "EMPTY": ""}
    app = start(fastlb, kind, tmp_path)
    for number, pid in enumerate(app.worker_pids):
        found = environment_of(pid)
        ours = {name: value for name, value in found.items() if shell.get(name) != value and name not in OPTIONS}
        assert (ours.pop("ODD"), ours.pop("EMPTY")) == ("a=b c", "")
        assert set(ours) <= documented()
        assert set(shell) <= set(found)
        assert ours["NODE_APP_INSTANCE"] == ours["FASTLB_WORKER_ID"] == str(number)


@pytest.mark.parametrize("kind", KINDS)
def test_files_and_numbers_reach_each_worker(fastlb: Fastlb, tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.env").write_text("A=file\nB=file\n")
    fastlb.env |= {"A": "shell", "B": "shell", "SECRET_KEY": "x"}
    options = ("--env-file", str(tmp_path / "a.env"), "--env", "A=option", "--filter-env", "SECRET_")
    app = start(fastlb, kind, tmp_path, *options, "--env", "INSTANCE_ID=${instance_var}")
    for number, pid in enumerate(app.worker_pids):
        found = environment_of(pid)
        assert (found["A"], found["B"], found["INSTANCE_ID"]) == ("option", "file", str(number))
        assert "SECRET_KEY" not in found


def test_reload_reads_the_files_anew_or_changes_nothing(fastlb: Fastlb, tmp_path: Path) -> None:
    file = tmp_path / "a.env"
    file.write_text("A=1\n")
    app = fastlb.start("asgi_probe:app", "--env-file", str(file))
    file.write_text("A=2\n")
    app.ok("reload")
    assert [environment_of(pid)["A"] for pid in app.worker_pids] == ["2"]
    before = app.worker_pids
    file.unlink()
    failed = fastlb.cli("reload", "app")
    assert failed.returncode == 2, describe(failed)
    assert "nothing was changed: --env-file" in failed.stderr
    assert app.worker_pids == before
    assert str(file) in app.show()["settings"]["env_file"]
    assert "A=2" not in (fastlb.home / "apps" / "app" / "config.json").read_text()


def test_start_says_which_variables_hold_the_number_and_refuses_a_missing_file(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("FROM_FILE=${instance}\n")
    options = ("--env", "ID=${instance}", "--env-file", str(tmp_path / "a.env"), "--namespace", "shops")
    started = fastlb.try_start("asgi_probe:app", *options)
    said = "${instance} and ${instance_var} are the worker's number\n"
    assert f"note: ID: {said}note: FROM_FILE: {said}" in started.stdout, describe(started)
    assert fastlb.app().entry()["namespace"] == fastlb.app().show()["settings"]["namespace"] == "shops"
    refused = fastlb.try_start("asgi_probe:app", "--env-file", "no.env", name="other")
    assert refused.returncode == 2
    assert "--env-file" in refused.stderr
    assert "no.env cannot be read: No such file or directory" in refused.stderr


def test_foreground_app_finds_no_more(fastlb: Fastlb) -> None:
    fastlb.env = {name: fastlb.env[name] for name in ("PATH", "HOME", "FASTLB_HOME", RUN_MARK, "FASTLB_TEST_LEDGER")}
    running = fastlb.popen("run", "asgi_probe:app", "--name", "app", "--bind", "127.0.0.1:0", "--settle", "0.1")
    wait_until(lambda: (fastlb.home / "apps" / "app" / "control.sock").exists(), "it can be asked")
    pids = wait_until(lambda: fastlb.app().worker_pids, "it serves")
    assert set(environment_of(pids[0])) - set(fastlb.env) <= documented()
    running.terminate()
    assert running.wait() == 0
