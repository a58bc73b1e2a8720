"""Mistakes of users: one message that says what, where and what to do; what was running goes on."""

import importlib.metadata
import os
import resource
import socket
import subprocess
from pathlib import Path

import fastlb.cli
import fastlb.supervisor
import fastlb.worker
import pytest

from tests.support.fastlb_process import CliResult, Fastlb, describe

USAGE = 2
FAILURE = 1
# Where the code of ours that could fail in front of a user lies, in whatever way it is installed.
OUR_DIRECTORIES = [
    f'File "{directory}/' for part in (fastlb.cli, fastlb.supervisor, fastlb.worker) for directory in part.__path__
]


def expect(result: CliResult, code: int, *words: str) -> None:
    """Check the exit code, that every word is in the message, and that no traceback of ours is."""
    assert result.returncode == code, describe(result)
    for word in words:
        assert word in result.stderr, describe(result)
    # The stack of a worker that was told to abort is there on purpose.
    message = result.stderr.partition("Fatal Python error")[0]
    assert not any(directory in message for directory in OUR_DIRECTORIES), describe(result)


def assert_nothing_is_left(fastlb: Fastlb) -> None:
    assert fastlb.pids == []
    assert fastlb.list_json() == []
    assert not (fastlb.home / "apps" / "app").exists()


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("asgi_prob:app", USAGE, ["asgi_prob", "asgi_probe"]),
        ("asgi_probe:ap", USAGE, ["ap", "app"]),
        ("asgi_probe", USAGE, ["asgi_probe"]),
        ("asgi_probe:", USAGE, ["asgi_probe"]),
        ("asgi_probe:json", USAGE, ["json"]),
        ("syntax_error:app", FAILURE, ["SyntaxError", "broken_release.py"]),
        ("dies_at_import:app", FAILURE, ["this app cannot be imported", "dies_at_import.py"]),
        ("exits_at_import:app", FAILURE, ["exits_at_import"]),
    ],
)
def test_target_that_cannot_be_served(fastlb: Fastlb, target: str, code: int, words: list[str]) -> None:
    fastlb.allow_in_logs("Traceback")
    result = fastlb.try_start(target, "--workers", "2")
    expect(result, code, *words)
    assert result.stderr.count("Traceback (most recent call last)") <= 1
    assert_nothing_is_left(fastlb)


def test_app_that_never_becomes_ready(fastlb: Fastlb) -> None:
    fastlb.allow_in_logs("Fatal Python error")  # its stack, asked for
    expect(fastlb.try_start("never_ready:app", "--listen-timeout", "1"), FAILURE, "listen-timeout")
    assert_nothing_is_left(fastlb)


def test_port_in_use_names_the_process(fastlb: Fastlb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = fastlb.try_start("asgi_probe:app", "--bind", f"127.0.0.1:{port}")
    expect(result, FAILURE, str(port), "in use", str(os.getpid()))
    assert_nothing_is_left(fastlb)


def test_port_below_1024_without_the_right(fastlb: Fastlb) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 80:
        pytest.skip("this machine lets everybody bind port 80")
    drop = ["setpriv", "--bounding-set", "-net_bind_service", "--inh-caps", "-net_bind_service"]
    command = [*drop, "fastlb", "start", "asgi_probe:app", "--name", "app", "--bind", "127.0.0.1:80"]
    expect(run_command(fastlb, command), FAILURE, "80", "CAP_NET_BIND_SERVICE")
    assert_nothing_is_left(fastlb)


def test_address_that_is_not_local(fastlb: Fastlb) -> None:
    result = fastlb.try_start("asgi_probe:app", "--bind", "192.0.2.1:8000")
    expect(result, FAILURE, "192.0.2.1")
    assert_nothing_is_left(fastlb)


@pytest.mark.parametrize("bind", ["127.0.0.1:70000", "127.0.0.1:http", "unix:", "fd:x", "[::1", "fd:987"])
def test_bind_that_makes_no_sense(fastlb: Fastlb, bind: str) -> None:
    result = fastlb.try_start("asgi_probe:app", "--bind", bind)
    assert result.returncode in (USAGE, FAILURE)
    assert bind.removeprefix("fd:") in result.stderr
    assert_nothing_is_left(fastlb)


@pytest.mark.parametrize("workers", ["0", "-1", "1000000", "two", "1.5"])
def test_senseless_number_of_workers(fastlb: Fastlb, workers: str) -> None:
    expect(fastlb.try_start("asgi_probe:app", "--workers", workers), USAGE, "workers", workers)
    assert_nothing_is_left(fastlb)


@pytest.mark.parametrize(
    ("options", "word"), [(("--kill-timeout", "soon"), "soon"), (("--balance", "fastest"), "round-robin")]
)
def test_value_that_makes_no_sense(fastlb: Fastlb, options: tuple[str, str], word: str) -> None:
    expect(fastlb.try_start("asgi_probe:app", *options), USAGE, word)
    assert_nothing_is_left(fastlb)


def test_unknown_option_names_the_nearest(fastlb: Fastlb) -> None:
    expect(fastlb.try_start("asgi_probe:app", "--worker", "2"), USAGE, "--worker", "--workers")


def test_unknown_command_and_unknown_name_name_the_nearest(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", name="shop")
    expect(fastlb.cli("stop", "shpo"), FAILURE, "shpo", "shop")
    expect(fastlb.cli("relaod", "shop"), USAGE, "relaod", "reload")
    assert app.get().status == 200


def test_name_that_is_running_is_refused_and_goes_on(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    before = fastlb.pids
    expect(fastlb.try_start("wsgi_probe:app"), FAILURE, "app", "running")
    assert sorted(fastlb.pids) == sorted(before)
    assert app.get().status == 200


def test_failed_start_of_another_app_leaves_the_running_one_alone(fastlb: Fastlb) -> None:
    fastlb.allow_in_logs("Traceback")
    app = fastlb.start("asgi_probe:app")
    before = fastlb.pids
    assert fastlb.try_start("dies_at_import:app", name="other").returncode == FAILURE
    assert sorted(fastlb.pids) == sorted(before)
    assert app.get().status == 200


@pytest.mark.parametrize("home", ["/proc/fastlb", "/dev/null/fastlb"])
def test_home_that_cannot_be_written(fastlb: Fastlb, home: str) -> None:
    fastlb.env["FASTLB_HOME"] = home
    result = fastlb.try_start("asgi_probe:app")
    fastlb.env["FASTLB_HOME"] = str(fastlb.home)
    expect(result, FAILURE, home)
    assert fastlb.pids == []


def test_limit_of_descriptors_that_is_too_low_is_said_before_anything_starts(fastlb: Fastlb) -> None:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))

    command = [
        "fastlb",
        "start",
        "asgi_probe:app",
        "--name",
        "app",
        "--bind",
        "127.0.0.1:0",
        "--workers",
        "64",
    ]
    result = run_command(fastlb, command, preexec_fn=lower)
    expect(result, FAILURE, "64", "128", "ulimit")
    assert_nothing_is_left(fastlb)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "x" * 300, "all", "-n"])
def test_name_that_cannot_be_a_directory(fastlb: Fastlb, name: str) -> None:
    result = fastlb.try_start("asgi_probe:app", name=name)
    assert result.returncode == USAGE, describe(result)
    assert fastlb.pids == []


def test_no_such_directory_for_the_app(fastlb: Fastlb) -> None:
    result = fastlb.try_start("asgi_probe:app", "--app-dir", "/nowhere/at/all")
    assert result.returncode in (USAGE, FAILURE), describe(result)
    assert "/nowhere/at/all" in result.stderr
    assert_nothing_is_left(fastlb)


def test_version(fastlb: Fastlb) -> None:
    assert importlib.metadata.version("fastlb") in fastlb.ok("--version").stdout


def run_command(fastlb: Fastlb, command: list[str], **options: object) -> CliResult:
    """Run a command that contains `fastlb`, in the directory of the apps."""
    from tests.support.fastlb_process import APPS, COMMAND

    words = [str(COMMAND) if word == "fastlb" else word for word in command]
    return subprocess.run(words, env=fastlb.env, cwd=APPS, capture_output=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


def test_app_that_dies_soon_after_it_is_ready_has_not_started(fastlb: Fastlb) -> None:
    failed = fastlb.try_start("dies_after_ready:app", "--settle", "30")
    assert failed.returncode == 1
    assert "did not start: exited with code 7" in failed.stderr
    assert not fastlb.pids, "nothing of it is left"


def test_start_that_does_not_wait_says_that_it_runs(fastlb: Fastlb) -> None:
    assert fastlb.try_start("dies_after_ready:app", "--settle", "60", "--no-wait").returncode == 0
