"""Owns the clients that plain HTTP/1.1 is not enough for: TLS, and those written for Node. Runs in the test process."""

import json
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from .http_exchange import exchange
from .load_plan import Address
from .node_packages import node_binary
from .tls import certificate
from .waiting import scaled


def run_client(script: Path, *arguments: str) -> list[int]:
    """Run one of the clients of node_apps; return the pids that answered it, in order."""
    command = [node_binary(), str(script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=scaled(30))
    assert result.returncode == 0, result.stderr
    return list(json.loads(result.stdout))


def https_get(
    address: Address, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[dict[str, Any], ssl.SSLSession | None]:
    """Make one request on a connection of its own; return the answer, and the session to resume."""
    assert not isinstance(address, str)
    with (
        socket.create_connection(address, timeout=scaled(5)) as plain,
        context.wrap_socket(plain, server_hostname="test", session=session) as client,
    ):
        answer = json.loads(exchange(client, "/", "connection: close").body)
        return answer, client.session


def tls_variables() -> dict[str, object]:
    """Return the variables that tell https.js its certificate."""
    made = certificate()
    return {"TLS_CERT": made.certificate, "TLS_KEY": made.key}
