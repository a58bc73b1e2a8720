"""By what a client is known under `sticky`: what is found in the head of a request, and what no bytes can do to it."""

import ipaddress

import pytest
from fastlb.lb.opening.request_head import MOST_BYTES, is_whole, key
from hypothesis import given
from hypothesis import strategies as st

PROXIES = ((ipaddress.ip_address("::ffff:10.0.0.0").packed, 104), (ipaddress.ip_address("fd00::").packed, 8))


def head(*lines: str) -> bytes:
    return "\r\n".join(("GET / HTTP/1.1", "Host: a", *lines, "", "")).encode()


def client(address: str) -> int:
    return key(head(f"X-Forwarded-For: {address}"))


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["X-Forwarded-For: 192.0.2.7"], "192.0.2.7"),
        (["x-forwarded-for:192.0.2.7 "], "192.0.2.7"),
        (["X-Forwarded-For: 1.1.1.1, 192.0.2.7"], "192.0.2.7"),
        (["X-Forwarded-For: 1.1.1.1,192.0.2.7, 10.1.2.3,fd00::1"], "192.0.2.7"),
        (["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 192.0.2.7"], "192.0.2.7"),
        (["X-Forwarded-For: 1.1.1.1, 192.0.2.7", "X-Forwarded-For: 10.0.0.1"], "192.0.2.7"),
        (["X-Forwarded-For: 192.0.2.7:4711"], "192.0.2.7"),
        (["X-Forwarded-For: [2001:db8::7]:4711"], "2001:db8::7"),
        (["X-Forwarded-For: [2001:db8::7]"], "2001:DB8:0::7"),
        (["X-Forwarded-For: ::ffff:192.0.2.7"], "192.0.2.7"),
        (["X-Forwarded-For: 10.0.0.9, 10.0.0.1"], "10.0.0.9"),
        (["X-Forwarded-For: , 192.0.2.7,"], "192.0.2.7"),
        (["Forwarded: for=192.0.2.7;proto=https;by=10.0.0.1"], "192.0.2.7"),
        (["Forwarded: for=1.1.1.1, proto=http; FOR=\"[2001:db8::7]:4711\""], "2001:db8::7"),
        (["Forwarded: for=1.1.1.1", "X-Forwarded-For: 192.0.2.7"], "192.0.2.7"),
        ([*[f"X-Forwarded-For: 1.1.1.{number}" for number in range(20)], "X-Forwarded-For: 192.0.2.7"], "192.0.2.7"),
    ],
)
def test_client_is_the_nearest_that_is_no_proxy_of_ours(lines: list[str], address: str) -> None:
    assert key(head(*lines), proxies=PROXIES) == client(address) != 0


@pytest.mark.parametrize(
    ("network", "bits", "is_proxy"),
    [("8.0.0.0", 101, True), ("8.0.0.0", 103, False), ("128.0.0.0", 97, False), ("10.0.0.1", 128, True)],
)
def test_network_is_as_many_bits_as_it_says(network: str, bits: int, is_proxy: bool) -> None:
    proxies = ((ipaddress.ip_address(f"::ffff:{network}").packed, bits),)
    found = key(head("X-Forwarded-For: 192.0.2.7, 10.0.0.1"), proxies=proxies)
    assert found == client("192.0.2.7" if is_proxy else "10.0.0.1")


@pytest.mark.parametrize(
    "lines", [[], ["X-Forwarded-For:"], ["X-Forwarded-For: ,, ,"], ["Forwarded: proto=https"], ["X-Forwarded: 1.1.1.1"]]
)
def test_without_an_address_nothing_is_known(lines: list[str]) -> None:
    assert key(head(*lines)) == 0


def test_names_that_are_no_addresses_tell_clients_apart() -> None:
    found = {key(head(f"Forwarded: for={name}")) for name in ("_hidden", "unknown", '"_a"', "1.2.3")}
    assert len(found) == 4
    assert 0 not in found


def test_what_is_not_believed_or_not_in_the_head_does_not_count() -> None:
    assert key(head("X-Forwarded-For: 192.0.2.7"), believed=False) == 0
    assert key(head() + b"X-Forwarded-For: 192.0.2.7\r\n\r\n") == 0
    assert key(b"GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7") == 0, "a line that has not ended"
    assert key(b"X-Forwarded-For: 192.0.2.7\r\n\r\n") == 0, "no request line"


def test_cookie_counts_before_any_address_and_from_anybody() -> None:
    address = "X-Forwarded-For: 192.0.2.7"
    found = key(head(address, "Cookie: a=1; sid=abc; b=2"), b"sid", believed=False)
    assert found == key(head("cookie:  sid=abc"), b"sid") == key(head("Cookie: a", "Cookie: x=sid; sid=abc"), b"sid")
    assert found not in (0, key(head("Cookie: sid=abd"), b"sid"), client("192.0.2.7"))
    for other in ("Cookie: sid=", "Cookie: Sid=abc", "Cookie: xsid=abc; =sid", "Cookie:"):
        assert key(head(address, other), b"sid") == client("192.0.2.7")


def test_as_much_is_waited_for_as_will_be_looked_at() -> None:
    assert is_whole(head())
    assert not is_whole(head()[:-1])
    assert is_whole(b"GET /" + bytes(MOST_BYTES))
    assert is_whole(b"\x16\x03\x01"), "TLS is none of HTTP"


PIECES = st.sampled_from(
    [b"\r\n", b"\n", b":", b",", b";", b"=", b'"', b"[", b"]", b" ", b"for=", b"X-Forwarded-For", b"Forwarded:",
     b"Cookie: ", b"sid", b"1.2.3.4", b"::1", b"GET / HTTP/1.1\r\n", b"\0", b"10.0.0.1"]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.binary(max_size=60)), max_size=60).map(b"".join), st.booleans())
def test_no_bytes_are_read_beyond_their_end(data: bytes, believed: bool) -> None:
    found = key(data, b"sid", believed, PROXIES)
    assert found == key(data, b"sid", believed, PROXIES)
    whole = data[: data.rfind(b"\n") + 1]
    assert found == key(whole, b"sid", believed, PROXIES), "what has not ended does not count"
