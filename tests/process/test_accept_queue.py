"""What the kernel says of sockets that listen is what is there: who waits, how many may, whom it had no room for."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastlb.supervisor.sockets.accept_queue import accept_queue, listen_overflows

from tests.support.waiting import wait_until

BACKLOG = 3


def listening(family: str, tmp_path: Path) -> socket.socket:
    if family == "tcp":
        return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "s"))
    sock.listen(BACKLOG)
    return sock


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_who_waits_is_counted(family: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        sock = stack.enter_context(listening(family, tmp_path))
        empty = accept_queue(sock)
        if empty is None:
            pytest.skip("this kernel does not tell (unix_diag)")
        assert (empty.waiting, empty.limit) == (0, BACKLOG)
        for _ in range(2):
            stack.enter_context(socket.socket(sock.family)).connect(sock.getsockname())
        wait_until(lambda: (queue := accept_queue(sock)) is not None and queue.waiting == 2, "two wait")
        stack.enter_context(sock.accept()[0])
        wait_until(lambda: (queue := accept_queue(sock)) is not None and queue.waiting == 1, "one was taken")


def test_connections_without_room_are_counted(tmp_path: Path) -> None:
    before = listen_overflows().get("ListenDrops", 0)
    with ExitStack() as stack:
        sock = stack.enter_context(listening("tcp", tmp_path))
        for _ in range(2 * BACKLOG + 2):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(sock.getsockname())
        wait_until(lambda: (queue := accept_queue(sock)) is not None and bool(queue.dropped), "some were dropped")
        assert listen_overflows()["ListenDrops"] > before


def test_sockets_that_do_not_listen_have_no_queue() -> None:
    with socket.socket() as sock:
        assert accept_queue(sock) is None
    assert accept_queue(sock) is None
    with socket.socket(socket.AF_UNIX) as sock:
        assert not (queue := accept_queue(sock)) or queue.waiting == 0
    assert accept_queue(sock) is None
