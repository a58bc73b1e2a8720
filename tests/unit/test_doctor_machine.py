"""What doctor finds on a machine, each from files as the kernel writes them, and what they must say to be well."""

import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from fastlb.cli.doctor import machine_findings, queue_findings
from fastlb.cli.doctor.examined_app import Answer, ExaminedApp
from fastlb.cli.doctor.finding import Finding, diagnosis_of
from fastlb.cli.doctor.kernel_text import UNLIMITED, read_descriptor_limit, read_tcp_rows
from fastlb.cli.doctor.listeners import Listener, listeners
from fastlb.cli.doctor.machine import CLOCK_SOURCE, Look, Machine, gather_machine, look
from fastlb.supervisor.control.protocol import AppEntry
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.sockets.sock_diag import bodies_of, numbers_of

from tests.support.waiting import wait_until

NETSTAT = """\
TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPReqQFullDrop
TcpExt: 0 {overflows} {drops} {requests}
IpExt: InNoRoutes InTruncatedPkts
IpExt: 0 0
"""
STAT = "cpu  {user} 0 1000 5000 0 0 0 {steal} 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\n"
VMSTAT = "nr_free_pages 100\npswpin {pages}\npswpout 9\n"
MEMINFO = (
    "MemTotal:       16384000 kB\nSwapTotal:       2048000 kB\nSwapFree:        1024000 kB\nHugePages_Total:       0\n"
)
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   {}: {} {} {} 00000000:00000000 00:00000000 00000000     0        0 639 1 0 100 0 0 10 0\n"
# 127.0.0.1:8000 listens and has two clients, 10.0.0.9; 3 of the ports 32768 to 32777 go to 10.0.0.5:5432.
TCP = HEAD + "".join(
    ROW.format(at, *fields)
    for at, fields in enumerate(
        [
            ("0100007F:1F40", "00000000:0000", "0A"),
            ("0100007F:1F40", "0900000A:C001", "01"),
            ("0100007F:1F40", "0900000A:C002", "01"),
            ("0100007F:1F40", "0900000A:C003", "06"),
            ("0200000A:8000", "0500000A:1538", "01"),
            ("0200000A:8001", "0500000A:1538", "06"),
            ("0200000A:8002", "0500000A:1538", "06"),
            ("0200000A:8003", "0600000A:1538", "01"),
        ]
    )
)
TCP6 = HEAD.replace("local", "local                        ") + (
    "   0: 0000000000000000FFFF00000200000A:8005 0000000000000000FFFF00000500000A:1538 01 00000000:00000000"
    " 00:00000000 00000000     0        0 700 1 0 20 4 30 10 -1\n"
)
FILES = {
    "proc/net/netstat": NETSTAT.format(overflows=3, drops=5, requests=0),
    "proc/net/tcp": TCP,
    "proc/net/tcp6": TCP6,
    "proc/stat": STAT.format(user=1000, steal=0),
    "proc/vmstat": VMSTAT.format(pages=7),
    "proc/meminfo": MEMINFO,
    "proc/sys/net/core/somaxconn": "4096\n",
    "proc/sys/net/ipv4/tcp_max_syn_backlog": "2048\n",
    "proc/sys/net/ipv4/tcp_syncookies": "1\n",
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t32777\n",
    "proc/sys/fs/file-nr": "1136\t0\t2466170\n",
    "proc/sys/kernel/osrelease": "6.18.44-generic\n",
    CLOCK_SOURCE: "tsc\n",
}


def gathered(tmp_path: Path, later: dict[str, str] | None = None, before: dict[str, str] | None = None) -> Machine:
    """Return a machine with FILES, `before` of them otherwise; between the two looks they become `later`."""
    write(tmp_path, FILES | (before or {}))
    first = look(tmp_path, 10.0, list)
    write(tmp_path, later or {})
    return gather_machine(tmp_path, first, look(tmp_path, 12.0, list))


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def entry(**figures: object) -> AppEntry:
    usual: dict[str, object] = {"name": "shop", "status": "online", "pid": 1, "uptime_s": 1.0, "restarts": 0}
    usual |= {"binds": ["127.0.0.1:8000"], "balance": "round-robin", "workers": []}
    return AppEntry(**(usual | figures))  # type: ignore[arg-type]


def app(config: AppConfig | None = None, **figures: object) -> ExaminedApp:
    answer = Answer(0.0, entry(**figures))
    return ExaminedApp(config or AppConfig(target="a:b", name="shop"), answer, answer)


def all_of(machine: Machine) -> list[Finding]:
    return [
        machine_findings.find_kernel(machine),
        machine_findings.find_clock(machine),
        machine_findings.find_steal(machine),
        machine_findings.find_swap(machine),
        machine_findings.find_file_table(machine),
        machine_findings.find_local_ports(machine),
        queue_findings.find_somaxconn(machine, [app()]),
        queue_findings.find_syn_backlog(machine, [app()]),
        queue_findings.find_drops_of_machine(machine),
    ]


def test_well_machine_has_no_warning(tmp_path: Path) -> None:
    before = {"proc/net/netstat": NETSTAT.format(overflows=0, drops=0, requests=0)}
    later = {"proc/stat": STAT.format(user=1200, steal=1)}
    assert [one for one in all_of(gathered(tmp_path, later, before)) if one.severity != "ok"] == []


def test_machine_that_tells_nothing_has_no_warning(tmp_path: Path) -> None:
    empty = look(tmp_path, 0.0, list)
    assert [one for one in all_of(gather_machine(tmp_path, empty, empty)) if one.severity != "ok"] == []


@pytest.mark.parametrize(
    ("before", "later", "check", "expected"),
    [
        ({"proc/sys/kernel/osrelease": "5.15.0-91-generic\n"}, {}, "kernel", ("warning", "5.15.0")),
        ({"proc/sys/kernel/osrelease": "6.8.0-31\n"}, {}, "kernel", ("note", "6.8.0")),
        ({"proc/sys/kernel/osrelease": "4.18.0-553.el8\n"}, {}, "kernel", ("error", "4.18.0")),
        ({CLOCK_SOURCE: "hpet\n"}, {}, "clock source", ("warning", "hpet")),
        ({}, {"proc/stat": STAT.format(user=1080, steal=20)}, "CPU steal", ("error", "20.0 %")),
        ({}, {"proc/stat": STAT.format(user=1090, steal=10)}, "CPU steal", ("warning", "10.0 %")),
        ({}, {"proc/vmstat": VMSTAT.format(pages=107)}, "swap", ("warning", "100 pages")),
        ({"proc/sys/fs/file-nr": "990\t0\t1000\n"}, {}, "file-max", ("error", "990")),
        ({"proc/sys/fs/file-nr": "850\t0\t1000\n"}, {}, "file-max", ("warning", "850")),
        (
            {"proc/sys/net/ipv4/ip_local_port_range": "32768\t32771\n"},
            {},
            "local ports",
            ("warning", "use 3, 2 of them"),
        ),
        ({"proc/sys/net/ipv4/ip_local_port_range": "32768\t32770\n"}, {}, "local ports", ("error", "10.0.0.5:5432")),
        ({"proc/sys/net/core/somaxconn": "128\n"}, {}, "somaxconn", ("warning", "shop for 4096")),
        ({"proc/sys/net/ipv4/tcp_syncookies": "0\n"}, {}, "tcp_max_syn_backlog", ("warning", "2048")),
        (
            {},
            {"proc/net/netstat": NETSTAT.format(overflows=3, drops=5, requests=40)},
            "tcp_max_syn_backlog",
            ("error", "40 of them in the interval"),
        ),
        ({}, {}, "listen overflows", ("note", "5 were dropped")),
        (
            {},
            {"proc/net/netstat": NETSTAT.format(overflows=9, drops=11, requests=0)},
            "listen overflows",
            ("warning", "6 of them in the interval"),
        ),
    ],
)
def test_fault_is_found(
    tmp_path: Path, before: dict[str, str], later: dict[str, str], check: str, expected: tuple[str, str]
) -> None:
    severity, figure = expected
    [found] = [one for one in all_of(gathered(tmp_path, later, before)) if one.check == check]
    assert found.severity == severity
    assert figure in found.measured
    assert found.meaning
    assert bool(found.mend) == (check != "listen overflows" or severity == "warning")


def test_clients_are_those_that_are_connected(tmp_path: Path) -> None:
    assert gathered(tmp_path).connections.clients == {8000: {"10.0.0.9": 2}}


def test_ipv4_in_ipv6_is_the_same_address(tmp_path: Path) -> None:
    use = gathered(tmp_path).connections.outgoing["10.0.0.5", 5432]
    assert (use.used, use.waiting) == (4, 2)


def test_lines_that_are_none_are_left_out() -> None:
    assert list(read_tcp_rows(["", "nonsense", HEAD])) == []


def test_limit_of_descriptors() -> None:
    head = "Limit                     Soft Limit           Hard Limit           Units     \n"
    assert (
        read_descriptor_limit(head + "Max open files            1024                 524288               files\n")
        == 1024
    )
    assert (
        read_descriptor_limit(head + "Max open files            unlimited            unlimited            files\n")
        == UNLIMITED
    )
    assert read_descriptor_limit(head) is None


def test_queue_that_drops_is_an_error_and_one_that_did_is_a_warning() -> None:
    full = Listener("127.0.0.1", 8000, 4, 4, 12)
    other = Listener("127.0.0.1", 9000, 0, 4, 99)
    before = Look(0.0, listeners=[replace(full, dropped=10), other])
    growing = Machine(before, Look(1.0, listeners=[full, other]))
    [found] = queue_findings.find_overflows(growing, app())
    assert (found.severity, found.app) == ("error", "shop")
    assert "2 of them in the interval" in found.measured
    quiet = Look(1.0, listeners=[replace(full, waiting=0)])
    assert [one.severity for one in queue_findings.find_overflows(Machine(quiet, quiet), app())] == ["warning"]
    well = Look(1.0, listeners=[replace(full, waiting=0, dropped=0)])
    assert [one.severity for one in queue_findings.find_overflows(Machine(well, well), app())] == ["ok"]
    silent = Look(1.0)
    assert queue_findings.find_overflows(Machine(silent, silent), app()) == []


def test_kernel_tells_what_waits_and_what_it_dropped() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        clients = [socket.socket() for _ in range(4)]
        try:
            for client in clients:
                client.setblocking(False)
                client.connect_ex(server.getsockname())
            [found] = wait_until(lambda: dropping(server.getsockname()[1]), "the kernel has dropped connections")
        finally:
            for client in clients:
                client.close()
    # The kernel lets one more wait than it was asked to.
    assert (found.host, found.waiting, found.backlog) == ("127.0.0.1", 2, 1)


def dropping(port: int) -> list[Listener]:
    return [one for one in listeners() if one.port == port and one.dropped and one.waiting == 2]


def test_kernel_that_refuses_is_an_error() -> None:
    refusal = struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -13)
    with pytest.raises(PermissionError):
        bodies_of(refusal)


def test_answers_that_are_cut_say_nothing() -> None:
    message = struct.pack("=IHHII", 24, 20, 0, 1, 0) + struct.pack("=HHI", 8, 7, 5)
    assert bodies_of(message) == ([message[16:]], False)
    assert [bodies_of(message[:size])[0] for size in (0, 15)] == [[], []]
    assert bodies_of(struct.pack("=IHHII", 3, 20, 0, 1, 0)) == ([], True)
    assert numbers_of(message[16:], 7, 1) == (5,)
    assert numbers_of(message[16:], 7, 2) is None
    assert numbers_of(message[16:20], 7, 1) is None
    assert numbers_of(bytes(8), 7, 1) is None


def test_exit_code_is_that_of_the_worst() -> None:
    def finding(severity: str) -> Finding:
        return Finding(check="x", severity=severity, measured="")  # type: ignore[arg-type]

    assert diagnosis_of([], 1.0).exit_code == 0
    assert diagnosis_of([finding("note"), finding("ok")], 1.0).exit_code == 0
    mixed = diagnosis_of([finding("ok"), finding("warning"), finding("error")], 1.0)
    assert (mixed.exit_code, mixed.worst) == (6, "error")
    assert [one.severity for one in mixed.findings] == ["error", "warning", "ok"]
    assert diagnosis_of([finding("warning"), finding("ok")], 1.0).exit_code == 5
