"""Owns the primary's end of a Node worker's channel: as little of Node's cluster protocol as shows what a worker says.

Runs in the test process, and knows nothing of fastlb: it is the measure, not what is measured. What a worker says is
kept as bytes. Every read has a deadline.
"""

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .waiting import scaled

CLUSTER = "NODE_CLUSTER"
PING = b'{"cmd":"NODE_HANDLE"}\n'
DEADLINE = 20.0


class NodeWorker:
    """A worker whose primary we are, from exec until it has been reaped at the end of the block."""

    def __init__(self, binary: Path, script: Path, env: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(scaled(DEADLINE))
        self._received = b""
        self._seq = 0
        channel = {"NODE_CHANNEL_FD": str(theirs.fileno()), "NODE_CHANNEL_SERIALIZATION_MODE": "json"}
        environment = {**os.environ, **env, **channel, "NODE_UNIQUE_ID": "1"}
        with theirs:
            fds = (theirs.fileno(),)
            self.process = subprocess.Popen([binary, script], env=environment, pass_fds=fds)

    def read_line(self) -> bytes:
        """Return the next line with its end; empty at the end of the channel."""
        while b"\n" not in self._received:
            data = self._channel.recv(65536)
            if not data:
                assert not self._received, f"the channel ended within a line: {self._received!r}"
                return b""
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line + b"\n"

    def read(self) -> dict[str, Any]:
        """Return the next line, which must be an object."""
        return dict(json.loads(self.read_line()))

    def send_line(self, line: bytes, *fds: int) -> None:
        """Send one line, with descriptors if there are any."""
        sent = socket.send_fds(self._channel, [line], list(fds)) if fds else self._channel.send(line)
        assert sent == len(line)

    def send(self, **fields: object) -> int:
        """Send a cluster message; return its number."""
        self._seq += 1
        self.send_line(encode({"cmd": CLUSTER, **fields, "seq": self._seq}))
        return self._seq

    def send_connection(self, key: str, fd: int) -> int:
        """Hand over a connection that came to the server of that key; return the number of the message."""
        self._seq += 1
        inner = {"cmd": CLUSTER, "act": "newconn", "key": key, "seq": self._seq}
        self.send_line(encode({"cmd": "NODE_HANDLE", "type": "net.Native", "msg": inner}), fd)
        return self._seq

    def bring_up(self, key: str) -> dict[str, Any]:
        """Answer what it asks for until it listens; return its question."""
        assert self.read()["act"] == "online"
        query = self.read()
        sockname = {"address": "127.0.0.1", "family": "IPv4", "port": query["port"]}
        self.send(errno=None, key=key, ack=query["seq"], data=query["data"], sockname=sockname)
        assert self.read()["act"] == "listening"
        return query

    def wait(self) -> int:
        """Return its exit code."""
        return self.process.wait(timeout=scaled(DEADLINE))

    def close_channel(self) -> None:
        """End the channel, as the death of a primary does."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._channel.close()
        self.process.kill()
        self.process.wait()


def encode(message: Mapping[str, object]) -> bytes:
    """Return a message as Node writes it."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
