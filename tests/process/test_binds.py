"""Every kind of listener, end to end: IPv4, IPv6, both, unix, port 0, an inherited descriptor, LISTEN_FDS."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.client import get
from tests.support.fastlb_process import COMMAND, Fastlb, address_of
from tests.support.load_plan import Plan
from tests.support.load_process import run_load
from tests.support.waiting import scaled, wait_until


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize("kind", ["port", "unix"])
def test_address_of_another_app_is_answered_with_how_to_stop_that(fastlb: Fastlb, kind: str) -> None:
    bind = "127.0.0.1:0" if kind == "port" else f"unix:{fastlb.directory}/shop.sock"
    app = fastlb.start("asgi_probe:app", "--bind", bind, name="shop")
    result = fastlb.try_start("asgi_probe:app", "--bind", app.binds[0], name="blog")
    assert result.returncode == 1
    assert "is in use by the app shop: `fastlb stop shop` ends it, or " in result.stderr
    assert "pid" not in result.stderr
    fastlb.ok("stop", "shop")


def test_own_binds_that_overlap_are_blamed_on_nobody_else(fastlb: Fastlb) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    socket_file = f"unix:{fastlb.directory}/x.sock"
    for first, second, what in (
        (f"0.0.0.0:{port}", f"127.0.0.1:{port}", "overlaps with"),
        (socket_file, f"unix:{fastlb.directory}/./x.sock", "is the same socket as"),
    ):
        result = fastlb.try_start("asgi_probe:app", "--bind", first, "--bind", second)
        assert result.returncode == 2
        assert f"--bind {second} {what} --bind {first}" in result.stderr


def test_port_0_is_reported_as_the_real_port(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--bind", "127.0.0.1:0")
    assert app.port > 0
    assert app.get().status == 200


@needs_ipv6
def test_ipv6(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--bind", "[::1]:0")
    assert app.get().status == 200


@needs_ipv6
def test_every_address_of_both_families(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--bind", ":0")
    assert {get((host, app.port)).status for host in ("127.0.0.1", "::1")} == {200}


def test_unix_socket_has_its_mode_and_goes_with_the_app(fastlb: Fastlb) -> None:
    path = fastlb.directory / "app.sock"
    app = fastlb.start("asgi_probe:app", "--bind", f"unix:{path}", "--socket-mode", "0600")
    assert get(str(path)).status == 200
    assert path.stat().st_mode & 0o777 == 0o600
    app.ok("stop")
    assert not path.exists()


def test_unix_socket_under_load(fastlb: Fastlb) -> None:
    path = fastlb.directory / "app.sock"
    fastlb.start("asgi_probe:app", "--bind", f"unix:{path}", "--workers", "2")
    report = run_load(Plan(address=str(path), requests=2000))
    assert report.failed == 0, report


def test_several_listeners_of_one_app(fastlb: Fastlb) -> None:
    path = fastlb.directory / "app.sock"
    binds = ("--bind", "127.0.0.1:0", "--bind", "127.0.0.1:0", "--bind", f"unix:{path}")
    app = fastlb.start("asgi_probe:app", *binds)
    assert len(app.binds) == 3
    assert [get(address_of(bind)).status for bind in app.binds] == [200] * 3


def test_inherited_descriptor(fastlb: Fastlb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        options = ("--name", "app", "--bind", f"fd:{fd}")
        starting = fastlb.popen("start", "asgi_probe:app", *options, pass_fds=(fd,))
        _, errors = starting.communicate(timeout=scaled(20))
        assert starting.returncode == 0, errors
        assert get(listener.getsockname()).status == 200


def test_sockets_of_systemd(fastlb: Fastlb) -> None:
    """LISTEN_FDS counts from descriptor 3, and LISTEN_PID must be the process that reads it."""
    launcher = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True);"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        run = [str(COMMAND), "run", "asgi_probe:app", "--name", "app", "--bind", "fd:systemd"]
        process = subprocess.Popen(
            [sys.executable, "-c", launcher, str(fd), *run],
            env=fastlb.env,
            cwd=Path(__file__).parents[1] / "support" / "apps",
            pass_fds=(fd,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: [e for e in fastlb.list_json() if e["status"] == "online"], "it is online", 20)
        assert get(listener.getsockname()).status == 200
        fastlb.ok("stop", "app")
        process.wait(timeout=scaled(10))


def test_backlog_above_the_limit_of_the_kernel_is_said(fastlb: Fastlb) -> None:
    limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
    if limit >= 65535:
        pytest.skip("net.core.somaxconn allows every backlog")
    result = fastlb.try_start("asgi_probe:app", "--backlog", str(limit + 1))
    assert "somaxconn" in result.stdout + result.stderr + fastlb.app().log("supervisor")
