"""What `fastlb metrics` says of real apps is what was asked of them, and can be read by Prometheus' own parser."""

import os
import signal
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.fastlb_process import Fastlb
from tests.support.programs import start_program, write_program
from tests.support.waiting import scaled, wait_until

Samples = dict[tuple[str, ...], float]


def scrape(fastlb: Fastlb, *names: str) -> Samples:
    """Return all samples, by their names and the values of their labels in alphabetical order."""
    families = text_string_to_metric_families(fastlb.ok("metrics", *names).stdout)
    samples = [sample for family in families for sample in family.samples]
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}


def test_counts_are_what_was_asked_and_outlast_a_reload(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--max-memory-restart", "1G")
    for _ in range(7):
        assert app.get("/plain").status == 200
    ended = ("fastlb_worker_request_duration_seconds_bucket", "app", "+Inf", "0")
    wait_until(lambda: scrape(fastlb)[ended] == 7, "all requests have ended")
    app.ok("reload")
    app.wait_online(1)
    app.get("/plain")
    wait_until(lambda: scrape(fastlb)[ended] == 8, "the request of the new worker has ended")
    samples = scrape(fastlb, "app")
    assert samples["fastlb_worker_requests_total", "app", "0"] == 8
    assert samples["fastlb_worker_request_errors_total", "app", "0"] == 0
    assert samples["fastlb_dispatcher_accepted_connections_total", "app"] == 8
    assert samples["fastlb_worker_generation", "app", "0"] == 2
    assert samples["fastlb_worker_up", "app", "0"] == 1
    assert samples["fastlb_worker_cpu_seconds_total", "app", "0"] > 0
    assert samples["fastlb_worker_resident_memory_bytes", "app", "0"] > 1 << 20
    assert samples["fastlb_app_worker_memory_limit_bytes", "app"] == 1 << 30
    assert samples["fastlb_app_workers", "app", "online"] == 1
    duration = "fastlb_worker_request_duration_seconds"
    assert samples[f"{duration}_count", "app", "0"] == 8
    assert 0 < samples[f"{duration}_sum", "app", "0"] < 8 * scaled(5)
    assert samples["fastlb_operations_total", "app", "reload", "done"] == 1
    assert 0 < samples["fastlb_operation_duration_seconds_sum", "app", "reload"] < scaled(60)
    assert samples["fastlb_app_generation", "app"] == 2
    assert 0 <= samples["fastlb_worker_loop_lag_seconds", "app", "0"] < scaled(60)
    assert samples["fastlb_worker_untaken_connections", "app", "0"] == 0
    assert samples["fastlb_events_total", "app", "info"] > 5
    listener = app.binds[0]
    assert samples["fastlb_listener_accepted_connections_total", "app", listener] == 8
    assert samples["fastlb_listener_accept_queue_connections", "app", listener] == 0
    assert samples["fastlb_listener_accept_queue_limit", "app", listener] > 0
    assert samples["fastlb_listener_dropped_connections_total", "app", listener] == 0
    assert samples["fastlb_app_status", "app", "online"] == 1


def test_restarts_and_lines_are_counted(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    lines_before = scrape(fastlb).get(("fastlb_log_lines_total", "app", "out"), 0)
    os.kill(app.worker_pids[0], signal.SIGKILL)
    crash = ("fastlb_app_restarts_total", "app", "crash")
    wait_until(lambda: scrape(fastlb).get(crash) == 1, "the crash is counted")
    app.wait_online(1)
    assert app.get("/print").status == 200
    wait_until(lambda: scrape(fastlb)["fastlb_log_lines_total", "app", "out"] > lines_before, "a line is counted")


def test_stopped_app_has_its_status_alone(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app").ok("stop")
    samples = scrape(fastlb)
    assert samples["fastlb_app_status", "app", "stopped"] == 1
    of_app = {key[0] for key, value in samples.items() if value and not key[0].startswith("fastlb_host_")}
    assert of_app == {"fastlb_app_status", "fastlb_app_info"}


def test_workers_that_nobody_counts_for_have_no_counts(fastlb: Fastlb, tmp_path: Path) -> None:
    write_program(tmp_path / "worker.sh", "exec sleep 600")
    start_program(fastlb, tmp_path, "--fork", "worker.sh")
    names = {key[0] for key in scrape(fastlb)}
    assert "fastlb_worker_resident_memory_bytes" in names
    assert not names & {"fastlb_worker_requests_total", "fastlb_worker_request_duration_seconds_bucket"}


def test_what_a_python_app_counts_itself_is_true_and_outlasts_its_workers(fastlb: Fastlb) -> None:
    app = fastlb.start("counts_itself:app", "--workers", "2", "--metrics-app")
    directory = fastlb.home / "apps" / "app" / "prometheus"
    assert directory.stat().st_mode & 0o777 == 0o700
    seen: list[bytes] = []

    def both_have_counted() -> bool:
        seen.append(app.get("/add").body)
        return len(set(seen)) == 2

    wait_until(both_have_counted, "both have counted")
    added = len(seen)
    orders = ("shop_orders_total", "app", 'a"b')
    samples = scrape(fastlb)
    assert samples[orders] == added
    assert samples["shop_order_seconds_bucket", "app", "1.0"] == added
    assert samples["shop_order_seconds_sum", "app"] == added / 2
    assert samples["shop_open_carts", "app"] == 6
    alive = [key for key in samples if key[0] == "shop_alive"]
    assert sorted(key[2] for key in alive) == sorted(str(pid) for pid in app.worker_pids)
    app.ok("reload")
    app.wait_online(2)
    assert scrape(fastlb)[orders] == added
    app.get("/add")
    samples = scrape(fastlb)
    assert samples[orders] == added + 1
    assert samples["shop_open_carts", "app"] == 3  # of the process that has set it, alone
    present = {f"{pid}.db" for pid in app.worker_pids}
    wait_until(lambda: {path.name.rpartition("_")[2] for path in directory.iterdir()} <= present, "old files are gone")
