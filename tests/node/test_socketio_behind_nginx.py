"""socket.io by long polling behind nginx, where each poll is a new connection: `--balance sticky` knows the clients."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb
from tests.support.node_clients import run_client
from tests.support.node_driver import free_port, start_node
from tests.support.waiting import scaled, wait_until

CLIENTS = 6
CONFIGURATION = """\
daemon off; error_log stderr; pid {folder}/pid; events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{app};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $http_x_client;
        }}
    }}
}}
"""


@contextmanager
def running_nginx(folder: Path, port: int, app: int) -> Iterator[None]:
    """Run nginx in front of the app for the length of the block; the client's address is what it says itself."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
    if program is None:
        pytest.skip("no nginx here")
    path = folder / "nginx.conf"
    path.write_text(CONFIGURATION.format(folder=folder, port=port, app=app))
    process = subprocess.Popen([program, "-c", str(path), "-e", "stderr"], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(port), "nginx listens")
        yield
    finally:
        process.terminate()
        process.wait(timeout=scaled(10))


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_polls_of_a_client_come_to_its_worker(fastlb: Fastlb, framework_apps: Path, tmp_path: Path) -> None:
    app = start_node(fastlb, framework_apps / "socketio.js", "--balance", "sticky", workers=4)
    port = free_port()
    with running_nginx(tmp_path, port, app.port):
        arguments = (f"http://127.0.0.1:{port}", "polling", str(CLIENTS), "X-Client")
        pids = run_client(framework_apps / "socketio_client.js", *arguments)
    assert len(pids) == CLIENTS
    assert len(set(pids)) > 1
    assert set(pids) <= set(app.worker_pids)
