"""Real sockets: what is bound, how, and what a refusal says."""

import os
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastlb.supervisor.errors import FastlbError, UsageError
from fastlb.supervisor.processes.resource_limits import check_limits, raise_descriptor_limit
from fastlb.supervisor.python.traits import PYTHON_TRAITS
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.declared import check_config
from fastlb.supervisor.sockets.listeners import BoundListener, backlog_warning, bind_all, close_all
from fastlb.supervisor.sockets.refusals import listening_processes

from tests.support.fastlb_process import APPS, COMMAND
from tests.support.ports import free_port
from tests.support.waiting import scaled


def config(*bind: str, backlog: int = 128, socket_mode: str = "0660") -> AppConfig:
    return AppConfig(target="x:y", name="x", bind=bind, backlog=backlog, socket_mode=socket_mode)


@contextmanager
def bound(*bind: str, systemd_fds: int = 0, socket_mode: str = "0660") -> Iterator[list[BoundListener]]:
    listeners = bind_all(config(*bind, socket_mode=socket_mode), systemd_fds)
    try:
        yield listeners
    finally:
        close_all(listeners)


def connects(family: socket.AddressFamily, address: str | tuple[str | int, ...]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(scaled(5))
        return client.connect_ex(address) == 0


def refusal(*bind: str) -> str:
    with pytest.raises(FastlbError) as caught:
        close_all(bind_all(config(*bind)))
    return caught.value.message


def test_port_zero_becomes_a_real_port() -> None:
    with bound("127.0.0.1:0") as [listener]:
        assert listener.info.port > 0
        assert listener.address == f"127.0.0.1:{listener.info.port}"
        assert connects(socket.AF_INET, ("127.0.0.1", listener.info.port))


def test_listener_is_set_up_for_a_dispatcher() -> None:
    with bound("127.0.0.1:0") as [listener]:
        sock = listener.socket
        assert sock.getblocking() is False
        assert sock.get_inheritable() is False
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        with socket.create_connection(sock.getsockname()):
            accepted, _ = sock.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def link_local_addresses() -> list[str]:
    """Return this machine's IPv6 addresses of a link, with their interfaces."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().split("\n")
    except OSError:
        return []
    fields = [line.split() for line in lines if line.startswith("fe80")]
    packed = [(bytes.fromhex(address), interface) for address, *_, interface in fields]
    return [f"{socket.inet_ntop(socket.AF_INET6, address)}%{interface}" for address, interface in packed]


@pytest.mark.skipif(not link_local_addresses(), reason="no interface has an IPv6 address of its link")
def test_address_of_a_link_is_bound_on_its_interface() -> None:
    host = link_local_addresses()[0]
    with bound(f"[{host}]:0") as [listener]:
        assert listener.address == f"[{host}]:{listener.info.port}"
        scope_id = socket.if_nametoindex(host.partition("%")[2])
        assert connects(socket.AF_INET6, (host.partition("%")[0], listener.info.port, 0, scope_id))


def test_address_tells_whether_ipv4_is_meant_as_well() -> None:
    with bound(":0") as [both], bound("[::]:0") as [only]:
        assert (both.address, only.address) == (f"*:{both.info.port}", f"[::]:{only.info.port}")


@pytest.mark.parametrize("spec", [":0", "*:0"])
def test_every_address_means_both_families(spec: str) -> None:
    with bound(spec) as [listener]:
        assert listener.info.family == "inet6"
        assert listener.address == f"*:{listener.info.port}"
        assert connects(socket.AF_INET, ("127.0.0.1", listener.info.port))
        assert connects(socket.AF_INET6, ("::1", listener.info.port))


def test_ipv6_address_leaves_ipv4_alone() -> None:
    port = free_port()
    with bound(f"[::1]:{port}") as [first], bound(f"127.0.0.1:{port}") as [second]:
        assert first.address == f"[::1]:{second.info.port}"


def test_name_is_bound_on_all_its_addresses_and_one_port() -> None:
    with bound("localhost:0") as listeners:
        assert {listener.info.host for listener in listeners} <= {"127.0.0.1", "::1"}
        assert len({listener.info.port for listener in listeners}) == 1
        assert [listener.listener_id for listener in listeners] == list(range(len(listeners)))


def test_several_addresses_get_ids_in_order(tmp_path: Path) -> None:
    with bound("127.0.0.1:0", f"unix:{tmp_path}/s", "127.0.0.1:0") as listeners:
        assert [listener.info.listener_id for listener in listeners] == [0, 1, 2]
        assert [listener.info.family for listener in listeners] == ["inet", "unix", "inet"]


def test_same_address_twice_is_refused_and_nothing_stays_bound(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(UsageError, match="given twice"):
        bind_all(config(f"unix:{path}", f"unix:{path}"))
    assert not path.exists()


def test_port_in_use_names_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = refusal(f"127.0.0.1:{port}")
    assert f"port {port} is in use by" in message
    assert f"(pid {os.getpid()})" in message
    assert "choose another --bind" in message


def test_port_in_use_by_the_second_address_frees_the_first() -> None:
    first = free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        refusal(f"127.0.0.1:{first}", f"127.0.0.1:{other.getsockname()[1]}")
        assert not connects(socket.AF_INET, ("127.0.0.1", first))


def test_restart_is_not_blocked_by_time_wait() -> None:
    with bound(f"127.0.0.1:{free_port()}") as [listener]:
        address = listener.socket.getsockname()
        client = socket.create_connection(address)
        accepted, _ = listener.socket.accept()
        accepted.close()
        client.close()
    with bound(f"127.0.0.1:{address[1]}"):
        pass


def test_foreign_address_is_named() -> None:
    # TEST-NET-1 (RFC 5737) belongs to nobody.
    message = refusal("192.0.2.1:8000")
    assert "192.0.2.1 is no address of this machine" in message


def test_unknown_name_is_named() -> None:
    assert "no-such-host.invalid has no address" in refusal("no-such-host.invalid:8000")


def test_unix_socket_has_its_mode_from_birth(tmp_path: Path) -> None:
    path = tmp_path / "s"
    umask = os.umask(0o077)
    try:
        with bound(f"unix:{path}", socket_mode="0606") as [listener]:
            assert stat.S_IMODE(path.stat().st_mode) == 0o606
            assert listener.address == f"unix:{path}"
            assert connects(socket.AF_UNIX, str(path))
            assert os.umask(0o077) == 0o077, "the umask is as before"
    finally:
        os.umask(umask)
    assert not path.exists(), "the file goes with its listener"


@pytest.mark.parametrize("mode", ["rw", "0999", "1777", "-1", ""])
def test_wrong_socket_mode_is_refused(mode: str) -> None:
    with pytest.raises(UsageError, match=r"--socket-mode: .* octal mode"):
        check_config(config("127.0.0.1:0", socket_mode=mode), PYTHON_TRAITS)


def test_dead_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with bound(f"unix:{path}"):
        assert connects(socket.AF_UNIX, str(path))


def test_live_socket_is_refused_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound(f"unix:{path}"):
        assert f"another process listens on {path}" in refusal(f"unix:{path}")
        assert connects(socket.AF_UNIX, str(path))


def test_live_socket_with_a_full_backlog_is_no_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        assert "another process listens" in refusal(f"unix:{path}")


def test_file_that_is_no_socket_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    assert "is not a socket" in refusal(f"unix:{path}")
    assert path.read_text() == "data"


def test_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert "is not a socket" in refusal(f"unix:{tmp_path}/link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_dead_socket_of_another_user_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    os.chown(path, 65534, 65534)
    assert "uid 65534" in refusal(f"unix:{path}")
    assert path.exists()


def test_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound(f"unix:{path}"):
        path.unlink()
        successor = bind_all(config(f"unix:{path}"))
    try:
        assert connects(socket.AF_UNIX, str(path)), "the predecessor left it alone"
    finally:
        close_all(successor)


def test_unix_path_is_bounded(tmp_path: Path) -> None:
    assert "107 bytes" in refusal(f"unix:{tmp_path}/{'x' * 108}")


def test_missing_directory_is_named(tmp_path: Path) -> None:
    assert f"there is no directory {tmp_path}/none" in refusal(f"unix:{tmp_path}/none/s")


def test_relative_path_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with bound("unix:s") as [listener]:
        assert listener.address == f"unix:{tmp_path}/s"


@pytest.mark.parametrize("listens", [False, True])
def test_inherited_socket_is_adopted(listens: bool) -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    if listens:
        sock.listen(1)
    fd = sock.detach()
    os.set_inheritable(fd, True)
    with bound(f"fd:{fd}") as [listener]:
        assert listener.socket.fileno() == fd
        assert listener.socket.get_inheritable() is False
        assert connects(socket.AF_INET, listener.socket.getsockname())


def test_descriptor_that_is_not_open_is_named() -> None:
    assert "descriptor 987654 is not open" in refusal("fd:987654")


def test_descriptor_that_is_no_socket_is_named() -> None:
    read_end, write_end = os.pipe()
    try:
        assert f"descriptor {read_end} is not a socket" in refusal(f"fd:{read_end}")
    finally:
        os.close(read_end)
        os.close(write_end)


def test_datagram_socket_is_refused_and_left_open() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        assert "SOCK_DGRAM" in refusal(f"fd:{sock.fileno()}")
        assert os.fstat(sock.fileno())


def test_systemd_without_sockets_says_so() -> None:
    assert "systemd passed no sockets" in refusal("fd:systemd")


SYSTEMD = """
import os, sys
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.launch.passed_sockets import systemd_fd_count
from fastlb.supervisor.sockets.listeners import bind_all
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[1]))
bind = tuple(sys.argv[2:])
for listener in bind_all(AppConfig(target="server:app", name="", bind=bind), systemd_fd_count()):
    print(listener.spec, listener.address)
"""


def run_with_systemd_sockets(socks: list[socket.socket], pid_offset: int, *bind: str) -> str:
    """Run SYSTEMD as systemd would: sockets from descriptor 3 on, LISTEN_FDS in the environment."""
    command = [sys.executable, "-c", SYSTEMD, str(pid_offset), *bind]
    shell = " ".join(f"{number}<&{sock.fileno()}" for number, sock in enumerate(socks, 3))
    env = {**os.environ, "LISTEN_FDS": str(len(socks))}
    result = subprocess.run(
        ["bash", "-c", f'exec "$@" {shell}', "bash", *command],
        env=env,
        pass_fds=[sock.fileno() for sock in socks],
        capture_output=True,
        text=True,
    )
    return result.stdout + result.stderr


@pytest.fixture
def two_sockets(tmp_path: Path) -> Iterator[list[socket.socket]]:
    # Above the numbers that the shell is to put them on.
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"{tmp_path}/s")
        fds = [os.dup2(tcp.fileno(), 50), os.dup2(unix.fileno(), 51)]
        socks = [socket.socket(fileno=fd) for fd in fds]
        yield socks
        for sock in socks:
            sock.close()


def test_systemds_sockets_take_the_place_of_the_default_address(two_sockets: list[socket.socket]) -> None:
    output = run_with_systemd_sockets(two_sockets, 0)
    port = two_sockets[0].getsockname()[1]
    path = two_sockets[1].getsockname()
    assert output.split() == ["fd:systemd", f"127.0.0.1:{port}", "fd:systemd", f"unix:{path}"]


def test_systemds_sockets_can_be_asked_for(two_sockets: list[socket.socket]) -> None:
    output = run_with_systemd_sockets(two_sockets, 0, "127.0.0.1:0", "fd:systemd")
    assert [line.split()[0] for line in output.splitlines()] == ["127.0.0.1:0", "fd:systemd", "fd:systemd"]


def test_sockets_for_another_process_are_not_ours(two_sockets: list[socket.socket]) -> None:
    assert "systemd passed no sockets" in run_with_systemd_sockets(two_sockets, 1, "fd:systemd")


def test_privileged_port_names_the_capability() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first == 0:
        pytest.skip("every port is open to every user here")
    code = (
        "import os\n"
        "from fastlb.supervisor.errors import FastlbError\n"
        "from fastlb.supervisor.sockets.listeners import bind_all\n"
        "from fastlb.supervisor.settings.app_config import AppConfig\n"
        "'x'.encode('idna')  # imported before the library may be out of reach\n"
        "if os.geteuid() == 0: os.setresuid(65534, 65534, 65534)\n"
        "try: bind_all(AppConfig(target='', name='', bind=('127.0.0.1:1',)))\n"
        "except FastlbError as error: print(error.message)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "CAP_NET_BIND_SERVICE" in result.stdout, result.stderr
    assert f"ports below {first}" in result.stdout


def test_cut_backlog_is_told() -> None:
    somaxconn = int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert backlog_warning(config("x", backlog=somaxconn)) is None
    warning = backlog_warning(config("x", backlog=somaxconn + 1))
    assert warning
    assert f"to {somaxconn}" in warning


def test_listening_processes_knows_our_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        [owner] = listening_processes(server.getsockname()[1])
    assert owner.endswith(f"(pid {os.getpid()})")


@contextmanager
def descriptor_limit(soft: int) -> Iterator[None]:
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def test_descriptor_limit_is_raised_to_what_is_allowed() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with descriptor_limit(256):
        assert raise_descriptor_limit() == min(hard, 1 << 20)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 1 << 20)


def test_too_low_descriptor_limit_says_for_how_many_workers_it_is_enough() -> None:
    message = r"100 workers need \d+ .* limit is 256, enough for 10 workers:.*ulimit -n"
    with descriptor_limit(256):
        with pytest.raises(FastlbError, match=message):
            check_limits(100)
        check_limits(10)


def test_limit_that_is_enough_for_nobody_says_so() -> None:
    with descriptor_limit(64), pytest.raises(FastlbError, match="limit is 64, not enough for any worker:"):
        check_limits(1)


AS_ANOTHER_USER = """
import os, resource, sys
from fastlb.supervisor.errors import FastlbError
from fastlb.supervisor.processes.resource_limits import check_limits, count_tasks
uid = int(sys.argv[1])
os.setresuid(uid, uid, uid)
print(count_tasks(uid))
resource.setrlimit(resource.RLIMIT_NPROC, (8, 8))
check_limits(2)
try:
    check_limits(8)
except FastlbError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_too_low_process_limit_counts_what_the_user_has_already() -> None:
    command = [sys.executable, "-c", AS_ANOTHER_USER, "47113"]
    count, message = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert count == "1"
    assert "has 1 processes and threads, and may have 8, enough for 2 workers: raise it with `ulimit -u 19`" in message


def test_file_size_limit_that_nothing_works_with_is_a_sentence(tmp_path: Path) -> None:
    command = f'ulimit -f 1; exec "{COMMAND}" start asgi_probe:app --name app --bind 127.0.0.1:0'
    env = os.environ | {"FASTLB_HOME": str(tmp_path / "home")}
    result = subprocess.run(["sh", "-c", command], env=env, cwd=APPS, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "ulimit -f" in result.stderr
    assert "Traceback" not in result.stderr


def test_node_app_without_an_address_binds_nothing_yet() -> None:
    assert bind_all(AppConfig(target="server.js", name="a")) == []
