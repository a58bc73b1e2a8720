"""What `--bind` understands, and what it says of the rest."""

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.settings.addresses import (
    ANY_HOST,
    BindAddress,
    InheritedFd,
    SystemdSockets,
    TcpAddress,
    UnixAddress,
    parse_address,
)

UNDERSTOOD: dict[str, BindAddress] = {
    "127.0.0.1:8000": TcpAddress("127.0.0.1", 8000),
    "0.0.0.0:0": TcpAddress("0.0.0.0", 0),
    "localhost:65535": TcpAddress("localhost", 65535),
    "my-host.example:80": TcpAddress("my-host.example", 80),
    "[::1]:8000": TcpAddress("::1", 8000),
    "[::]:8000": TcpAddress("::", 8000),
    "[fe80::1%eth0]:80": TcpAddress("fe80::1%eth0", 80),
    ":8000": TcpAddress(ANY_HOST, 8000),
    "*:8000": TcpAddress(ANY_HOST, 8000),
    "8080": TcpAddress("127.0.0.1", 8080),
    "localhost": TcpAddress("localhost", 8000),
    "*": TcpAddress(ANY_HOST, 8000),
    "unix:/run/app.sock": UnixAddress("/run/app.sock"),
    "unix:relative path:with colon": UnixAddress("relative path:with colon"),
    "fd:3": InheritedFd(3),
    "fd:systemd": SystemdSockets(),
}

REFUSED = {
    "": "port is missing",
    "example.com": "port is missing",
    "127.0.0.1": "port is missing",
    "127.0.0.1:": "port is missing",
    "[::1]": "port is missing",
    "127.0.0.1:http": "'http' is not a port",
    "127.0.0.1:65536": "'65536' is not a port",
    "127.0.0.1:-1": "'-1' is not a port",
    "127.0.0.1:\uff18\uff10": "is not a port",
    "99999": "is not a port",
    "::1:8000": "in brackets",
    "::": "in brackets",
    "http://x:80": "in brackets",
    "a b:80": "not a host name",
    "a/b:80": "not a host name",
    "[::1:80": "in brackets",
    "unix:": "path of the socket is missing",
    "unix:a\0b": "NUL",
    "fd:": "'' is not the number",
    "fd:-3": "'-3' is not the number",
    "fd:x": "'x' is not the number",
    "fd:2": "standard input, output and error",
}


@pytest.mark.parametrize(("spec", "address"), UNDERSTOOD.items())
def test_address_is_understood(spec: str, address: BindAddress) -> None:
    assert parse_address(spec) == address


@pytest.mark.parametrize(("spec", "reason"), REFUSED.items())
def test_wrong_address_is_refused_with_its_reason_and_the_forms(spec: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(spec)
    assert reason in caught.value.message
    assert f"--bind {spec}" in caught.value.message
    assert "HOST:PORT" in caught.value.message
    assert caught.value.exit_code == 2


def test_hostile_address_takes_linear_time() -> None:
    # With a backtracking pattern this would not end.
    for spec in ("[" * 100_000, "a:" * 50_000, "0" * 100_000, "[::1]:" + "9" * 100_000):
        with pytest.raises(UsageError):
            parse_address(spec)
