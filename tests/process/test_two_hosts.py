"""Two hosts behind the HAProxy that `fastlb export` describes, with the PROXY protocol, under load.

One is reloaded: no request fails. One drops every packet, then one is killed: at most one request of each client fails,
which was under way, and the others go to the host that is left.
"""

from pathlib import Path

from tests.support.fastlb_process import COMMAND, App, Fastlb, kill_all
from tests.support.haproxy import haproxy_command, running_haproxy
from tests.support.load_plan import Plan, Report
from tests.support.load_process import LoadProcess
from tests.support.network_host import NetworkHost, network_hosts
from tests.support.ports import free_port
from tests.support.waiting import scaled, wait_until

CLIENTS = 4
REQUESTS = 200
# HAProxy gives a host 2 s to take a connection and finds out within 3 checks of 2 s; what is under way waits for 60 s.
HUNG_SECONDS = 10.0


def start_host(fastlb: Fastlb, name: str, host: NetworkHost, port: int) -> App:
    options = ("--bind", f"{host.address}:{port}", "--proxy-protocol", "--proxy-allow-ips", f"{host.front}/32")
    shown = ("--access-log-format", "%(h)s", "--workers", "2", "--settle", "0.1")
    fastlb.run_program(*host.command(str(COMMAND), "start", "asgi_probe:app", "--name", name, *options, *shown))
    return fastlb.app(name)


def load(port: int) -> LoadProcess:
    return LoadProcess(Plan(address=("127.0.0.1", port), path="/plain", clients=CLIENTS, timeout=scaled(HUNG_SECONDS)))


def described(fastlb: Fastlb, hosts: list[NetworkHost]) -> str:
    """Return the configuration, with the port of the hosts for clients, too."""
    addresses = (word for host in hosts for word in ("--host", host.address))
    return fastlb.ok("export", "haproxy", "first", *addresses).stdout


def check_log(app: App) -> None:
    wait_until(lambda: "127.0.0.1" in app.log("out"), "the log has the client behind HAProxy")
    assert "10.213." not in app.log("out"), "HAProxy's own address"
    assert app.show()["dispatcher"]["proxy_untrusted"] == 0


def check_lost(report: Report) -> None:
    assert report.failed <= CLIENTS, report.summary()
    assert report.ok >= REQUESTS, report.summary()


def test_hosts_behind_the_exported_haproxy(fastlb: Fastlb, tmp_path: Path) -> None:
    haproxy_command()
    port = free_port()
    with network_hosts(2) as hosts:
        first, second = (start_host(fastlb, *named, port) for named in zip(("first", "second"), hosts, strict=True))
        with running_haproxy(described(fastlb, hosts), tmp_path):
            with load(port) as clients:
                clients.wait_for(REQUESTS, timeout=60)
                first.ok("reload", timeout=120)
                clients.wait_for(REQUESTS, timeout=60)
            assert clients.report.failed == 0, clients.report.summary()
            for app in (first, second):
                check_log(app)

            with load(port) as clients:
                clients.wait_for(REQUESTS, timeout=60)
                hosts[0].drop_answers()
                clients.wait_for(REQUESTS, timeout=60)
            check_lost(clients.report)
        hosts[0].take_answers()

        with running_haproxy(described(fastlb, hosts), tmp_path), load(port) as clients:
            clients.wait_for(REQUESTS, timeout=60)
            fastlb.allow_left_sockets()
            kill_all([second.supervisor_pid, second.dispatcher_pid, *second.worker_pids])
            clients.wait_for(REQUESTS, timeout=60)
        check_lost(clients.report)
