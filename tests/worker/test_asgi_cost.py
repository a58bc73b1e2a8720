"""What a new connection costs an ASGI worker in system calls, and that uvicorn is still what this relies on."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.support.http_exchange import exchange, read_response, request_bytes
from tests.support.waiting import wait_until
from tests.support.worker_process import WorkerProcess, serving_worker
from tests.worker.test_asgi_serving import HELLO

CONNECTIONS = 8
# What uvicorn's connection_made() does, and ours does in its place; the log lines are for its trace level.
KNOWN_TO_CONNECTION_MADE = {
    *("connections", "add", "transport", "FlowControl", "flow", "server", "client", "scheme"),
    *("get_local_addr", "get_remote_addr", "is_ssl", "logger", "level", "log", "TRACE_LOG_LEVEL"),
}


def system_calls(worker: WorkerProcess, directory: Path) -> list[str]:
    """Return the names of the system calls of CONNECTIONS exchanges, handed over in one message."""
    record = directory / "strace.txt"
    tracing = subprocess.Popen(
        ["strace", "-f", "-p", str(worker.process.pid), "-o", str(record)], stderr=subprocess.PIPE, text=True
    )
    assert tracing.stderr is not None
    attached = tracing.stderr.readline()
    if "attached" not in attached:
        tracing.communicate()
        pytest.skip(f"strace may not look at processes here: {attached}")
    clients = [worker.listeners[0].connect() for _ in range(CONNECTIONS)]
    for client in clients:
        client.sendall(request_bytes("/", "connection: close"))
    worker.hand_over([worker.accept(worker.listeners[0]) for _ in clients])
    for client in clients:
        with client:
            assert read_response(client).body == b"hello"
    worker.wait_closed()
    tracing.send_signal(signal.SIGINT)
    tracing.communicate()
    return re.findall(r"^\d+ +(\w+)\(", record.read_text(), re.MULTILINE)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_new_connection_and_response_cost_only_what_they_must(tmp_path: Path) -> None:
    with serving_worker(tmp_path, HELLO) as worker:
        with worker.connect() as client:
            exchange(client)
        wait_until(lambda: worker.counters()["closed"] == 1, "the first connection is closed")
        calls = system_calls(worker, tmp_path)
    for unneeded in ("getpeername", "getsockname", "getsockopt", "setsockopt", "accept4", "dup", "socket"):
        assert unneeded not in calls
    assert calls.count("recvmsg") <= 2
    for needed in ("recvfrom", "sendto", "shutdown", "close"):
        assert calls.count(needed) == CONNECTIONS, needed
    for unneeded in ("read", "epoll_ctl", "fcntl", "ioctl"):  # answered and closed before anything could watch them
        assert unneeded not in calls


@pytest.mark.parametrize("protocol", [HttpToolsProtocol, H11Protocol])
def test_connection_made_of_uvicorn_does_what_ours_replaces(protocol: type) -> None:
    assert set(protocol.connection_made.__code__.co_names) <= KNOWN_TO_CONNECTION_MADE  # type: ignore[attr-defined]
