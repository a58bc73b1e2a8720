"""What `fastlb export` prints: it has what the settings say, tells no secret, and its readers understand it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastlb.cli.export.compose import compose
from fastlb.cli.export.exported_app import ExportedApp
from fastlb.cli.export.haproxy import haproxy
from fastlb.cli.export.kubernetes import kubernetes
from fastlb.cli.export.nginx import nginx
from fastlb.cli.export.systemd import systemd
from fastlb.cli.startup.boot_app import Owner
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled

HOSTS = ("10.0.0.1", "fd00::2")
CHECK_SECONDS = 20.0


def app(**settings: Any) -> ExportedApp:
    return ExportedApp(AppConfig(**{"target": "shop.api:app", "name": "shop", **settings}))


SHOP = app(
    bind=("127.0.0.1:8000", "[::1]:8001"),
    workers=2,
    kill_timeout=20.5,
    health_check="/health?a=%20",
    health_check_text='it\'s "ok"',
    health_check_interval=4.0,
    health_check_failures=2,
    max_memory_restart=300 << 20,
    max_instances=6,
    min_instances=2,
    scale_cpu=70,
    uid="1000",
    env={"TOKEN": "canary-7"},
    watch=("true",),
    args=("$(TOKEN)",),
)
JOB = app(name="Job_1", target="sleep", exec_mode="fork", args=("1000",))
TLS = app(name="tls", ssl_certfile="/c.pem", ssl_keyfile="/k.pem", balance="ip-hash")
SOCKET = app(name="local", bind=("unix:/run/shop/app.sock",), health_check="test -e 'a b'")
PROXIED = app(name="proxied", bind=(":8000",), proxy_protocol=True, health_check="/health")
STICKY = app(name="sticky", bind=(":8001",), balance="sticky")
ALL = (SHOP, JOB, TLS, SOCKET, PROXIED, STICKY)


def objects(one: ExportedApp) -> dict[str, Any]:
    return {found["kind"]: found for found in yaml.safe_load_all(kubernetes(one, "shop:7"))}


def checked(program: str, *arguments: str, **env: str) -> str:
    """Run a program that reads what was written; return what it says. Skips where there is none."""
    path = shutil.which(program) or shutil.which(program, path=f"/usr/sbin:/sbin:{sys.prefix}/bin")
    if path is None:
        pytest.skip(f"no {program} here")
    result = subprocess.run(
        [path, *arguments], env={**os.environ, **env}, capture_output=True, text=True,
        timeout=scaled(CHECK_SECONDS), check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_a_pod_is_given_time_and_asked_as_workers_are() -> None:
    spec = objects(SHOP)["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert pod["terminationGracePeriodSeconds"] >= 20.5 + int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["securityContext"] == {"runAsUser": 1000, "runAsNonRoot": True}
    ready, alive = container["readinessProbe"], container["livenessProbe"]
    assert (ready["httpGet"]["path"], ready["periodSeconds"], ready["failureThreshold"]) == ("/health?a=%20", 4, 2)
    replaced_within = SHOP.config.kill_timeout + SHOP.config.listen_timeout
    assert alive["failureThreshold"] * alive["periodSeconds"] > 2 * 4 + replaced_within
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "300Mi"}, "limits": {"memory": "728Mi"}}
    assert "0.0.0.0:8000" in container["command"]
    assert container["command"][-1] == "$$(TOKEN)"


def test_pods_are_scaled_between_the_same_numbers() -> None:
    found = objects(SHOP)
    spec = found["HorizontalPodAutoscaler"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 6)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    assert "replicas" not in found["Deployment"]["spec"]
    words = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert not {"--workers", "--max-instances", "--min-instances"} & set(words), "one worker a pod"


def test_what_is_not_scaled_has_its_workers_in_each_pod() -> None:
    found = objects(app(workers=3))
    assert set(found) == {"Deployment", "Service", "PodDisruptionBudget"}
    words = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert words[words.index("--workers") + 1] == "3"


def test_what_listens_nowhere_is_never_there_twice() -> None:
    found = objects(JOB)
    assert set(found) == {"Deployment"}
    assert found["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert found["Deployment"]["metadata"]["name"] == "job-1"


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_objects_are_those_of_the_schemas(one: ExportedApp) -> None:
    for found in yaml.safe_load_all(kubernetes(one, "shop:7")):
        kubernetes_validate.validate(found, "1.30", strict=True)


def test_compose_has_what_the_settings_say() -> None:
    services = yaml.safe_load(compose(ALL, ""))["services"]
    shop = services["shop"]
    assert shop["ports"] == ["127.0.0.1:8000:8000", "[::1]:8001:8001"]
    assert shop["stop_grace_period"] == "36s"
    assert shop["environment"] == ["TOKEN"]
    assert shop["command"][-1] == "$$(TOKEN)", "a variable of compose otherwise"
    assert (shop["healthcheck"]["interval"], shop["healthcheck"]["retries"]) == ("4s", 2)
    assert services["local"]["healthcheck"]["test"] == ["CMD-SHELL", "test -e 'a b'"]
    assert "ports" not in services["Job_1"]
    compile(shop["healthcheck"]["test"][3], "healthcheck", "exec")


def test_secrets_are_not_told_and_what_cannot_be_said_is() -> None:
    for text in (kubernetes(SHOP, "shop:7"), compose([SHOP], "")):
        assert "canary-7" not in text
        said = re.findall(r"^# (--[\w-]+):", text, re.MULTILINE)
        assert {"--watch", "--env", "--health-check-text"} <= set(said)


def test_who_is_told_of_alerts_is_no_secret_and_by_which_address_is() -> None:
    secrets: dict[str, Any] = {"alert_webhook": ("https://h/canary-7",), "alert_smtp": "smtp://u:canary-7@h"}
    told = app(alert_email=("ops@example.org",), **secrets)
    for text in (kubernetes(told, "shop:7"), compose([told], "")):
        assert "canary-7" not in text
        assert "ops@example.org" in text
        assert "give it as FASTLB_ALERT_WEBHOOK" in text


def test_haproxy_knows_all_hosts_and_asks_them() -> None:
    text = haproxy([SHOP], HOSTS)
    assert "    server host1 10.0.0.1:8000\n    server host2 [fd00::2]:8000\n" in text
    assert "check inter 4000ms fastinter 500ms fall 2 rise 1" in text
    assert "http-check send meth GET uri" in text
    assert "option forwardfor" in text
    assert "send-proxy" not in text, "fastlb would take it for a request"


def test_what_wants_a_proxy_header_gets_one_and_is_asked_by_nobody_who_says_none() -> None:
    text = haproxy([PROXIED], HOSTS)
    assert re.search(r"default-server check .* send-proxy-v2\n", text)
    assert "option forwardfor" not in text
    assert "\n#   server { listen 8000; proxy_pass proxied; proxy_protocol on; }\n" in nginx([PROXIED], HOSTS)
    assert "\nupstream proxied" not in nginx([PROXIED], HOSTS)
    assert "readinessProbe" not in objects(PROXIED)["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert "healthcheck" not in yaml.safe_load(compose([PROXIED], ""))["services"]["proxied"]


def test_haproxy_understands_it(tmp_path: Path) -> None:
    (tmp_path / "haproxy.cfg").write_text(haproxy(ALL, ()) + haproxy([app(name="far")], HOSTS))
    checked("haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg"))


def test_nginx_knows_all_hosts_and_leaves_programs_out() -> None:
    text = nginx([SHOP, JOB], HOSTS)
    assert "    server 10.0.0.1:8000 max_fails=2 fail_timeout=4s;\n" in text
    assert "    server [fd00::2]:8001 max_fails=2 fail_timeout=4s;\n" in text
    assert "# Job_1 is left out" in text
    assert "max_fails=0" in nginx([SOCKET], ()), "one server is never taken out"


def test_connections_to_a_sticky_app_are_not_shared() -> None:
    assert "http-reuse never" in haproxy([STICKY], HOSTS)
    assert "http-reuse" not in haproxy([SHOP], HOSTS)
    assert "keepalive" not in nginx([STICKY], HOSTS)
    assert "keepalive 32;" in nginx([SHOP], HOSTS)


def test_nginx_understands_it(tmp_path: Path) -> None:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    text = nginx(ALL, ()).replace("listen 80;", "listen 8080;")
    head = f"error_log stderr; pid {tmp_path}/pid; events {{}} http {{ access_log off;\n"
    (tmp_path / "nginx.conf").write_text(f"{head}{temporary}{text}}}")
    checked("nginx", "-t", "-c", str(tmp_path / "nginx.conf"), "-e", "stderr")


def test_systemd_understands_its_units(tmp_path: Path) -> None:
    text = systemd([SHOP, JOB], Owner("root", 0, tmp_path))
    units = dict(
        re.findall(r"^# /etc/systemd/system/(\S+)\n(.*?)(?=^# /etc/systemd|\Z)", text, re.DOTALL | re.MULTILINE)
    )
    assert set(units) == {"fastlb-root.target", "fastlb-root-shop.service", "fastlb-root-Job_1.service"}
    assert "TimeoutStopSec=35.5\n" in units["fastlb-root-shop.service"]
    for name, unit in units.items():
        (tmp_path / name).write_text(unit)
    said = checked(
        "systemd-analyze", "verify", *(str(tmp_path / name) for name in units), SYSTEMD_UNIT_PATH=f"{tmp_path}:"
    )
    assert [line for line in said.splitlines() if "fastlb-root" in line] == []


@pytest.mark.parametrize("host", ["a b", "x\ny", "10.0.0.1:80", "", "::g"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    for write in (haproxy, nginx):
        with pytest.raises(UsageError):
            write([SHOP], (host,))


def test_what_listens_nowhere_has_no_backend() -> None:
    for write in (haproxy, nginx):
        with pytest.raises(UsageError, match="Job_1: give it --bind"):
            write([JOB], HOSTS)


def test_a_file_is_exported_as_it_would_be_started(fastlb: Fastlb, tmp_path: Path) -> None:
    text = '[apps.a]\ntarget = "sleep"\nargs = ["9"]\nkill_timeout = "5s"\n[apps.b]\ntarget = "sleep"\n'
    (tmp_path / "fastlb.toml").write_text(text)
    found = yaml.safe_load(fastlb.ok("export", "compose", str(tmp_path / "fastlb.toml"), "--only", "a").stdout)
    assert set(found["services"]) == {"a"}
    assert found["services"]["a"]["stop_grace_period"] == "20s"
    refused = fastlb.cli("export", "compose", str(tmp_path / "fastlb.toml"), "--host", "x")
    assert refused.returncode == 2
    assert "--host" in refused.stderr
