"""No descriptors left in the dispatcher or in the workers: clients wait, none is reset, CPU stays low."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import processes
from tests.support.client import Connection
from tests.support.fastlb_process import App, Fastlb
from tests.support.waiting import scaled, wait_until

CLIENTS = 30
WINDOW = 1.0


@contextmanager
def no_free_descriptor(pid: int) -> Iterator[None]:
    """Lower the limit of a process to its lowest free descriptor, so that it cannot open one more."""
    used = processes.open_fds(pid)
    lowest_free = next(number for number in range(len(used) + 1) if number not in used)
    old_soft, _ = processes.limit_open_files(pid, lowest_free)
    try:
        yield
    finally:
        processes.limit_open_files(pid, old_soft)


def connect_and_ask(app: App, count: int) -> list[Connection]:
    """Return clients that have sent their request and wait."""
    clients = [Connection(app.address, timeout=10) for _ in range(count)]
    for client in clients:
        client.send()
    return clients


def test_dispatcher_without_descriptors_keeps_clients_waiting_and_recovers(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    dispatcher = app.dispatcher_pid
    idle = processes.open_fds(dispatcher).keys()
    app.get()
    wait_until(lambda: processes.open_fds(dispatcher).keys() == idle, "the dispatcher holds no connection any more")
    with no_free_descriptor(dispatcher):
        clients = connect_and_ask(app, CLIENTS)
        cpu_before = processes.cpu_nanoseconds(dispatcher)
        clients[0].sock.settimeout(WINDOW)
        with pytest.raises(TimeoutError):
            clients[0].receive()
        cpu_seconds = (processes.cpu_nanoseconds(dispatcher) - cpu_before) / 1e9
    clients[0].sock.settimeout(scaled(10))
    for client in clients:
        with client:
            assert client.receive().status == 200
    assert cpu_seconds < 0.05 * WINDOW


def test_workers_without_descriptors_leave_clients_in_the_backlog(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--timeout-keep-alive", "60")
    for pid in app.worker_pids:
        processes.limit_open_files(pid, 100)
    clients = connect_and_ask(app, 200)
    wait_until(lambda: min(w["connections"] for w in app.entry()["workers"]) > 5, "workers take some")
    served = [client for client in clients if is_answered(client)]
    assert 10 < len(served) < len(clients), "the workers are at their limit"
    while waiting := [client for client in clients if client not in served]:
        for client in served:
            client.close()
        wait_until(lambda: any_answered(waiting), "closing makes room for others")
        served = [client for client in waiting if is_answered(client)]
        clients = waiting
    for client in served:
        client.close()
    assert app.get().status == 200


def is_answered(client: Connection) -> bool:
    """Say whether the response has come; a reset raises."""
    client.sock.settimeout(0.05)
    try:
        return client.receive().status == 200
    except TimeoutError:
        return False


def any_answered(clients: list[Connection]) -> bool:
    """Say whether a response has come to one of them; nothing is read."""
    return bool(select.select([client.sock for client in clients], [], [], 0)[0])


def test_worker_that_the_dispatcher_cannot_take_fails_the_reload_and_nothing_is_changed(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2", "--settle", "0.1")
    before = app.worker_pids
    with no_free_descriptor(app.dispatcher_pid):
        failed = fastlb.cli("reload", "app")
        assert failed.returncode == 1
        assert "nothing was changed" in failed.stderr
        assert "the dispatcher did not take worker 0" in failed.stderr
        assert app.worker_pids == before
    assert app.get(timeout=10).status == 200
    app.ok("reload")


def test_worker_that_the_dispatcher_could_not_take_is_offered_again(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "1")
    (worker,) = app.worker_pids
    with no_free_descriptor(app.dispatcher_pid):
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "command_rejected" in app.log("supervisor"), "the restarted worker is rejected")
    assert app.get(timeout=10).status == 200
