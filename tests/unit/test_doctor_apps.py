"""What doctor finds about one app: room, time-outs, files, versions, ports; and what must be found well."""

import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastlb.cli.doctor import place_findings, queue_findings, room_findings, timeout_findings
from fastlb.cli.doctor.examination import State, findings_of
from fastlb.cli.doctor.examined_app import (
    Answer,
    CpuRoom,
    ExaminedApp,
    MemoryRoom,
    Process,
    SocketFile,
    Unit,
    cpu_room,
    examine,
    read_span,
    unit_of,
)
from fastlb.cli.doctor.finding import Finding
from fastlb.cli.doctor.gathering import find_container, gather_home
from fastlb.cli.doctor.listeners import Listener
from fastlb.cli.doctor.machine import Look, Machine
from fastlb.cli.doctor.nginx_upstreams import find_upstreams, read_upstreams
from fastlb.cli.doctor.place_findings import Home
from fastlb.supervisor.control.protocol import AppEntry, WorkerEntry
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.settings.app_config import AppConfig

GIB = 1 << 30
MACHINE = Machine(Look(0.0), Look(2.0))
HOME = Home("/var/lib/fastlb", 1000, 1000, 0o700)
NGINX = """\
# upstream old { server 127.0.0.1:8000; keepalive 8; }
http {
    upstream shop {
        server 127.0.0.1:8000 fail_timeout=0;  # the app
        keepalive 32;
        %s
    }
    upstream other { server 10.0.0.7:8000; keepalive 32; }
    upstream single { server unix:/run/shop/app.sock fail_timeout=0; }
    server { listen 80; location / { proxy_pass http://shop; } }
}
"""


def worker(number: int = 0, **figures: Any) -> WorkerEntry:
    usual: dict[str, Any] = {"pid": 100 + number, "status": "online", "uptime_s": 1.0, "restarts": 0, "connections": 0}
    return WorkerEntry(id=number, **(usual | {"requests": 0, "rss_bytes": 100 << 20, "cpu_percent": 0.0} | figures))


def app(
    settings: Mapping[str, Any] | None = None, *, entry: Mapping[str, Any] | None = None, **known: Any
) -> ExaminedApp:
    """Return an app that is well, but for what is said."""
    figures: dict[str, Any] = {"name": "shop", "status": "online", "pid": 7, "uptime_s": 1.0, "restarts": 0}
    figures |= {"binds": ["127.0.0.1:8000"], "balance": "round-robin", "workers": [worker()], "target_workers": 1}
    answer = Answer(0.0, AppEntry(**(figures | dict(entry or {}))))
    config = AppConfig(**({"target": "a:b", "name": "shop", "bind": ("127.0.0.1:8000",)} | dict(settings or {})))
    usual: dict[str, Any] = {"control_socket": SocketFile("/run/control.sock", 0o600, 1000)}
    return ExaminedApp(config, answer, answer, **(usual | known))


def found(check: str, *apps: ExaminedApp, **state: Any) -> list[Finding]:
    """Return the findings of this name in a state that is well, but for what is said."""
    usual: dict[str, Any] = {"machine": MACHINE, "apps": apps, "home": HOME, "version": "0.1.0"}
    return [one for one in findings_of(State(**(usual | state))) if one.check == check]


def severities(check: str, *apps: ExaminedApp, **state: Any) -> list[str]:
    return [one.severity for one in found(check, *apps, **state)]


def test_app_that_is_well_has_no_warning() -> None:
    findings = findings_of(State(machine=MACHINE, apps=[app()], home=HOME, version="0.1.0"))
    assert [one for one in findings if one.severity != "ok"] == []
    assert {"state", "sockets", "home"} <= {one.check for one in findings}


@pytest.mark.parametrize(
    ("known", "check", "severity", "figure"),
    [
        ({"processes": [Process(0, 100, 820, 1024, 0)]}, "nofile", "warning", "820 of 1,024"),
        ({"processes": [Process(0, 100, 1000, 1024, 0), Process(1, 101, 5, 1024, 0)]}, "nofile", "error", "worker 0"),
        ({"processes": [Process(0, 100, 100, 1024, 0)]}, "nofile", "ok", "100 of 1,024"),
        ({"processes": [Process(0, 100, 0, 0, 64 << 20)]}, "swapped workers", "warning", "worker 0 64 MiB"),
        ({"cpu": CpuRoom(2.0, 1000, 30)}, "CPU of the cgroup", "warning", "30 of 1,000"),
        ({"cpu": CpuRoom(0.5, 1000, 300)}, "CPU of the cgroup", "error", "0.5 usable"),
        ({"cpu": CpuRoom(2.0, 1000, 0)}, "CPU of the cgroup", "ok", "2 usable"),
        ({"memory": MemoryRoom(GIB, GIB // 2, 0)}, "memory of the cgroup", "ok", "512 of 1,024 MiB"),
        ({"memory": MemoryRoom(GIB, GIB // 2, 2)}, "memory of the cgroup", "warning", "2 processes"),
        ({"memory": MemoryRoom(GIB, GIB * 9 // 10, 0)}, "memory of the cgroup", "warning", "922 of 1,024"),
        ({"memory": MemoryRoom(GIB, GIB * 98 // 100, 0)}, "memory of the cgroup", "error", "1,004 of"),
        ({"memory": MemoryRoom(150 << 20, 100 << 20, 0)}, "memory of the cgroup", "warning", "100 of 150"),
        ({"control_socket": SocketFile("/run/control.sock", 0o666, 1000)}, "sockets", "error", "0666"),
        ({"control_socket": SocketFile("/run/control.sock", None)}, "sockets", "error", "no socket"),
        ({"sockets": [SocketFile("/run/shop.sock", None)]}, "sockets", "error", "/run/shop.sock"),
        ({"sockets": [SocketFile("/run/shop.sock", 0o660, 1000)]}, "sockets", "ok", "/run/shop.sock 0660"),
        ({"unit": Unit("shop.service", 45.0, "mixed")}, "time to stop", "ok", "45 s"),
        ({"unit": Unit("shop.service", 30.0, "mixed")}, "time to stop", "warning", "30 s (TimeoutStopSec"),
        ({"unit": Unit("shop.service", 0.0, "control-group")}, "time to stop", "warning", "for ever"),
    ],
)
def test_finding_of_an_app(known: dict[str, Any], check: str, severity: str, figure: str) -> None:
    [one] = found(check, app(**known))
    assert (one.severity, one.app) == (severity, "shop")
    assert figure in one.measured
    assert (bool(one.meaning), bool(one.mend)) == ((False, False) if severity == "ok" else (True, True))


def test_more_workers_than_cpus_are_a_note() -> None:
    assert severities("CPU of the cgroup", app(entry={"target_workers": 5}, cpu=CpuRoom(2.0))) == ["note"]
    assert severities("CPU of the cgroup", app(entry={"target_workers": 4}, cpu=CpuRoom(2.0))) == ["ok"]


def test_reload_without_room_is_said() -> None:
    [one] = found("memory of the cgroup", app(memory=MemoryRoom(150 << 20, 100 << 20, 0)))
    assert "reload" in one.meaning


@pytest.mark.parametrize(
    ("status", "severity"),
    [("died", "error"), ("unresponsive", "error"), ("errored", "error"), ("degraded", "warning")],
)
def test_state_that_is_bad_comes_with_a_command(status: str, severity: str) -> None:
    [one] = found("state", app(entry={"status": status}))
    assert one.severity == severity
    assert one.mend.startswith("fastlb ")


def test_app_that_cannot_be_asked_from_here_is_not_said_to_be_down() -> None:
    entry = app(entry={"status": "unresponsive"}).entry
    silent, unreachable = (Answer(0.0, entry, "no answer", is_unreachable) for is_unreachable in (False, True))
    [stuck] = found("state", ExaminedApp(None, silent, silent))
    [unknown] = found("state", ExaminedApp(None, unreachable, unreachable))
    assert (stuck.severity, stuck.mend) == ("error", "fastlb kill shop && fastlb start shop")
    assert "may go on serving" in stuck.meaning
    assert (unknown.severity, "is not known" in unknown.meaning) == ("warning", True)
    assert "kill" not in unknown.mend


def test_older_supervisor_is_to_be_updated() -> None:
    [one] = found("version", app(entry={"version": "0.0.9"}))
    assert (one.severity, one.mend) == ("warning", "fastlb update shop")
    assert severities("version", app(entry={"version": "0.1.0"})) == ["ok"]


@pytest.mark.parametrize(
    ("container", "kill_timeout", "severity"),
    [("docker", 30.0, "warning"), ("docker", 8.0, "ok"), ("kubernetes", 30.0, "warning"), ("kubernetes", 20.0, "ok")],
)
def test_container_may_kill_too_early(container: Any, kill_timeout: float, severity: str) -> None:
    assert severities("time to stop", app({"kill_timeout": kill_timeout}), container=container) == [severity]


def test_no_container_no_word_about_it() -> None:
    assert found("time to stop", app()) == []


def test_container_is_known_by_what_engines_leave(tmp_path: Path) -> None:
    assert find_container(tmp_path, {}) == ""
    assert find_container(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == "kubernetes"
    (tmp_path / ".dockerenv").touch()
    assert find_container(tmp_path, {}) == "docker"


def test_requests_that_outlast_a_reload_are_a_note() -> None:
    assert severities("long requests", app({"request_timeout": 60.0})) == ["note"]
    assert severities("long requests", app({"request_timeout": 20.0})) == ["ok"]
    assert severities("long requests", app()) == []


@pytest.mark.parametrize(
    ("said", "severity"),
    [("", "warning"), ("keepalive_timeout 4s;", "ok"), ("keepalive_timeout 1m 5s;", "warning")],
)
def test_nginx_must_be_the_first_to_end_a_connection(tmp_path: Path, said: str, severity: str) -> None:
    (tmp_path / "etc/nginx/conf.d").mkdir(parents=True)
    (tmp_path / "etc/nginx/conf.d/shop.conf").write_text(NGINX % said)
    upstreams = find_upstreams(tmp_path)
    assert [one.name for one in upstreams] == ["shop", "other", "single"]
    [one] = found("keep-alive", app(), upstreams=upstreams)
    assert one.severity == severity
    assert "/etc/nginx/conf.d/shop.conf" in one.measured


def test_upstream_of_a_unix_socket_leads_to_the_app() -> None:
    text = "upstream shop { server unix:/run/shop/app.sock; keepalive 4; }"
    there = app(entry={"binds": ["unix:/run/shop/app.sock"]}, sockets=[SocketFile("/run/shop/app.sock", 0o660)])
    assert severities("keep-alive", there, upstreams=read_upstreams(text, "x")) == ["warning"]
    assert severities("keep-alive", app(), upstreams=read_upstreams(text, "x")) == []


def test_home_must_be_its_owners_alone(tmp_path: Path) -> None:
    assert severities("home") == ["ok"]
    assert severities("home", home=replace(HOME, mode=0o770)) == ["error"]
    assert severities("home", home=replace(HOME, uid=1001)) == ["error"]
    [one] = found("home", home=replace(HOME, foreign=["apps/a", "apps/b", "apps/c", "apps/d"]))
    assert (one.severity, one.mend) == ("error", "sudo chown -R 1000 /var/lib/fastlb")
    assert "apps/c and 1 more" in one.meaning
    assert severities("home", home=gather_home(tmp_path / "nothing")) == ["ok"]


@contextlib.contextmanager
def changing(home: Path) -> Iterator[None]:
    """Have files and directories of apps come and go."""
    is_over = threading.Event()

    def change() -> None:
        while not is_over.is_set():
            for name in ("apps/shop/lock", "logs/shop-out.log", "note"):
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).touch()
            (home / "note").unlink()
            for directory in ("apps", "logs"):
                shutil.rmtree(home / directory)

    interval, thread = sys.getswitchinterval(), threading.Thread(target=change)
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_files_may_come_and_go_while_they_are_looked_at(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with changing(tmp_path):
        homes = [gather_home(tmp_path) for _ in range(1500)]
    assert {severity for home in homes for severity in severities("home", home=home)} == {"ok"}


def test_processes_may_end_while_they_are_looked_at(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    known = app(entry={"pid": ended.pid, "workers": [worker(pid=ended.pid)], "binds": [f"unix:{tmp_path}/s"]})
    looked_at = examine(AppPaths(tmp_path, "shop"), known.first, known.last, lambda _: "")
    assert [(one.pid, one.open, one.most) for one in looked_at.processes] == [(ended.pid, 0, 0)]
    assert (looked_at.memory, looked_at.unit, looked_at.sockets[0].mode) == (None, None, None)
    assert findings_of(State(machine=MACHINE, apps=[looked_at], home=HOME, version="0.1.0"))


def test_port_of_a_stopped_app_that_another_has() -> None:
    stopped = app(entry={"pid": None, "status": "stopped"})
    machine = Machine(Look(0.0), Look(1.0, listeners=[Listener("0.0.0.0", 8000, 0, 128, 0)]))
    [one] = found("port", stopped, machine=machine, whose={8000: "nginx (pid 9)"})
    assert "8000 is taken by nginx (pid 9)" in one.measured
    elsewhere = Machine(Look(0.0), Look(1.0, listeners=[Listener("10.0.0.1", 8000, 0, 128, 0)]))
    assert found("port", stopped, machine=elsewhere) == []
    assert found("port", app(), machine=machine) == []


def test_two_apps_with_one_port() -> None:
    stopped = app({"name": "blog", "bind": (":8000",)}, entry={"name": "blog", "pid": None, "status": "stopped"})
    [one] = found("port", app(), stopped)
    assert (one.app, one.measured) == ("blog", "port 8000 is also that of shop")
    other = app({"name": "blog", "bind": ("10.0.0.1:8000",)}, entry={"name": "blog"})
    assert found("port", app(), other) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1min 30s", 90.0), ("45s", 45.0), ("infinity", 0.0), ("1h 500ms", 3600.5), ("", None), ("soon", None)],
)
def test_spans_of_systemd(text: str, seconds: float | None) -> None:
    assert read_span(text) == seconds


def test_unit_is_that_whose_main_process_the_supervisor_is() -> None:
    said = "TimeoutStopUSec=1min 30s\nKillMode=mixed\nMainPID=7\n"
    cgroup = "0::/system.slice/shop.service\n"
    assert unit_of(cgroup, 7, lambda _: said) == Unit("shop.service", 90.0, "mixed")
    assert unit_of("9:name=systemd:/system.slice/shop.service\n", 7, lambda _: said) == Unit(
        "shop.service", 90.0, "mixed"
    )
    assert unit_of(cgroup, 8, lambda _: said) is None
    assert unit_of("0::/user.slice/session-3.scope\n", 7, lambda _: pytest.fail("there is no unit to ask for")) is None


@pytest.mark.parametrize(
    ("line", "files"),
    [
        (
            "0::/app\n",
            {"app/cpu.max": "50000 100000\n", "app/cpu.stat": "usage_usec 5\nnr_periods 90\nnr_throttled 9\n"},
        ),
        (
            "3:cpu,cpuacct:/app\n",
            {
                "cpu,cpuacct/app/cpu.cfs_quota_us": "50000\n",
                "cpu,cpuacct/app/cpu.cfs_period_us": "100000\n",
                "cpu,cpuacct/app/cpu.stat": "nr_periods 90\nnr_throttled 9\nthrottled_time 7\n",
            },
        ),
    ],
)
def test_room_of_a_cgroup(tmp_path: Path, line: str, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "cgroup").write_text(line)
    (tmp_path / "cpu.stat").write_text("nr_periods 5\nnr_throttled 0\n")
    assert cpu_room(tmp_path / "cgroup", tmp_path, 4) == CpuRoom(0.5, 90, 9)


def test_parts_are_all_asked() -> None:
    """Every function that finds something is called for a state."""
    import inspect

    from fastlb.cli.doctor import examination, machine_findings

    called = inspect.getsource(examination)
    for module in (machine_findings, place_findings, queue_findings, room_findings, timeout_findings):
        names = [
            name
            for name in vars(module)
            if name.startswith("find_") and vars(module)[name].__module__ == module.__name__
        ]
        assert [name for name in names if name not in called] == []
