"""The choice of a worker, as pure functions: exact, stable, never somebody without room."""

import ipaddress
import random
from collections import Counter

import pytest
from fastlb.lb.command import Policy
from fastlb.lb.policy import PolicyTable
from hypothesis import given
from hypothesis import strategies as st

MUCH = 1_000_000
NOBODY = -1


def table_of(room: list[int], open_connections: list[int] | None = None) -> PolicyTable:
    """Workers 0..n-1 with this much room."""
    return PolicyTable(list(range(len(room))), room, open_connections or [0] * len(room))


def clients(count: int) -> list[bytes]:
    """Addresses of `count` different clients, IPv4 and IPv6, always the same ones."""
    generator = random.Random(4711)
    return [generator.randbytes(generator.choice((4, 16))) for _ in range(count)]


def own_workers(hash_keys: list[int], addresses: list[bytes]) -> list[int]:
    """The hash key of each client's own worker."""
    table = PolicyTable(hash_keys, [MUCH] * len(hash_keys), [0] * len(hash_keys))
    return [hash_keys[table.choose(Policy.IP_HASH, address)[0]] for address in addresses]


def test_round_robin_is_exact() -> None:
    table = table_of([MUCH] * 4)
    assert [table.choose(Policy.ROUND_ROBIN)[0] for _ in range(12)] == [0, 1, 2, 3] * 3


def test_round_robin_skips_workers_without_room() -> None:
    table = table_of([2, 0, 1])
    assert [table.choose(Policy.ROUND_ROBIN)[0] for _ in range(4)] == [0, 2, 0, NOBODY]


def test_least_connections_evens_out() -> None:
    table = table_of([MUCH] * 4, [20, 0, 0, 0])
    chosen = Counter(table.choose(Policy.LEAST_CONNECTIONS)[0] for _ in range(30))
    assert chosen == {1: 10, 2: 10, 3: 10}


def test_least_connections_counts_what_it_gives() -> None:
    table = table_of([MUCH] * 2, [3, 0])
    assert [table.choose(Policy.LEAST_CONNECTIONS)[0] for _ in range(7)] == [1, 1, 1, 0, 1, 0, 1]


def test_least_connections_takes_turns_among_equals() -> None:
    table = table_of([MUCH] * 3)
    assert [table.choose(Policy.LEAST_CONNECTIONS)[0] for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_ip_hash_gives_a_client_the_same_worker() -> None:
    assert own_workers([0, 1, 2, 3], clients(1000)) == own_workers([0, 1, 2, 3], clients(1000))


def test_ip_hash_spreads_clients() -> None:
    counts = Counter(own_workers([0, 1, 2, 3], clients(10_000)))
    assert all(2300 < counts[worker] < 2700 for worker in range(4))


def test_ip_hash_spreads_neighbours() -> None:
    addresses = [ipaddress.IPv4Address(0x0A000000 + number).packed for number in range(4096)]
    counts = Counter(own_workers([0, 1, 2, 3], addresses))
    assert all(900 < counts[worker] < 1150 for worker in range(4))


def test_losing_a_worker_moves_only_its_clients() -> None:
    addresses = clients(5000)
    before, after = own_workers([0, 1, 2, 3], addresses), own_workers([0, 1, 3], addresses)
    assert all(old == new for old, new in zip(before, after, strict=True) if old != 2)
    assert 2 in before


def test_a_new_worker_takes_its_share_and_moves_nobody_else() -> None:
    addresses = clients(5000)
    before, after = own_workers([0, 1, 2], addresses), own_workers([0, 1, 2, 3], addresses)
    assert all(new in (old, 3) for old, new in zip(before, after, strict=True))


def test_order_of_slots_does_not_matter_to_ip_hash() -> None:
    assert own_workers([0, 1, 2, 3], clients(1000)) == own_workers([2, 0, 3, 1], clients(1000))


def test_ip_hash_knows_an_ipv4_client_on_a_dual_stack_listener() -> None:
    for number in range(200):
        address = ipaddress.IPv4Address(0xC0A80000 + number).packed
        assert own_workers(list(range(8)), [address]) == own_workers(
            list(range(8)), [bytes(10) + b"\xff\xff" + address]
        )


def test_ip_hash_goes_to_the_next_worker_when_the_own_is_full() -> None:
    address = b"\x0a\0\0\x01"
    keys = [0, 1, 2, 3]
    (own,) = own_workers(keys, [address])
    rest = [key for key in keys if key != own]
    (second,) = own_workers(rest, [address])
    table = PolicyTable(keys, [0 if key == own else 1 for key in keys], [0] * 4)
    assert table.choose(Policy.IP_HASH, address) == (second, True)
    assert table_of([1] * 4).choose(Policy.IP_HASH, address) == (own, False)


def test_unix_clients_are_spread_under_ip_hash() -> None:
    table = table_of([MUCH] * 4)
    assert {table.choose(Policy.IP_HASH, b"")[0] for _ in range(4)} == {0, 1, 2, 3}


@pytest.mark.parametrize("policy", Policy)
@given(room=st.lists(st.integers(0, 3), max_size=20))
def test_room_is_used_up_and_never_overdrawn(policy: Policy, room: list[int]) -> None:
    table = table_of(room)
    given_to: Counter[int] = Counter()
    while (index := table.choose(policy, b"\x7f\0\0\1")[0]) != NOBODY:
        given_to[index] += 1
    assert [given_to[index] for index in range(len(room))] == room


def test_rescuer_is_a_receiver_before_anybody_else() -> None:
    table = table_of([5, 5, 5], [0, 3, 2])
    table.mark(1, receiver=True, overdue=False)
    table.mark(2, receiver=True, overdue=False)
    assert table.choose_rescuer() == 2


def test_rescuer_is_never_overdue_itself() -> None:
    table = table_of([5, 5])
    table.mark(0, receiver=False, overdue=True)
    assert table.choose_rescuer() == 1
    table.mark(1, receiver=False, overdue=True)
    assert table.choose_rescuer() == NOBODY


@pytest.mark.parametrize("policy", Policy)
def test_only_who_serves_a_listener_gets_its_connections(policy: Policy) -> None:
    table = table_of([MUCH] * 4)
    for index, listeners in enumerate((0b10, 0b01, 0, 0b11)):
        table.serve(index, listeners)
    chosen = {table.choose(policy, address)[0] for address in clients(200)}
    assert chosen == {1, 3}


@pytest.mark.parametrize("policy", Policy)
def test_nobody_is_chosen_where_nobody_serves(policy: Policy) -> None:
    table = table_of([MUCH] * 3)
    for index in range(3):
        table.serve(index, 0b10)
    assert table.choose(policy, b"\x7f\0\0\1") == (NOBODY, False)
    assert table.choose_rescuer() == NOBODY


def test_a_worker_that_does_not_serve_the_listener_is_nobodys_own() -> None:
    """The connection is with the client's own worker among those that serve its listener."""
    table = table_of([MUCH] * 4)
    table.serve(2, 0)
    owners = own_workers([0, 1, 3], clients(500))
    assert [table.choose(Policy.IP_HASH, address) for address in clients(500)] == [(owner, False) for owner in owners]


def test_rescuer_serves_the_listener() -> None:
    table = table_of([5, 5, 5])
    table.mark(0, receiver=True)
    table.serve(0, 0)
    table.mark(1, slow=True)
    assert table.choose_rescuer() == 2


def test_slow_worker_is_the_last_choice_of_least_connections() -> None:
    table = table_of([MUCH, 2, 0], [0, 50, 0])
    table.mark(0, slow=True)
    assert [table.choose(Policy.LEAST_CONNECTIONS)[0] for _ in range(3)] == [1, 1, 0]


def test_slow_worker_is_the_last_choice_of_round_robin() -> None:
    table = table_of([MUCH, 2, 2])
    table.mark(0, slow=True)
    assert [table.choose(Policy.ROUND_ROBIN)[0] for _ in range(5)] == [1, 2, 1, 2, 0]


@pytest.mark.parametrize("index", [3, 2**32 - 1])
def test_worker_outside_the_table_is_refused(index: int) -> None:
    table = table_of([1, 1, 1])
    for act in (table.mark, lambda at: table.serve(at, 1)):
        with pytest.raises(IndexError):
            act(index)


@pytest.mark.parametrize("policy", Policy)
@given(workers=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=12))
def test_room_of_those_who_serve_is_used_up_and_no_other(
    policy: Policy, workers: list[tuple[int, int, bool]]
) -> None:
    table = table_of([room for room, _, _ in workers])
    for index, (_, listeners, slow) in enumerate(workers):
        table.serve(index, listeners)
        table.mark(index, slow=slow)
    given_to: Counter[int] = Counter()
    while (index := table.choose(policy, b"\x7f\0\0\1")[0]) != NOBODY:
        given_to[index] += 1
    assert [given_to[index] for index in range(len(workers))] == [
        room if listeners & 1 else 0 for room, listeners, _ in workers
    ]
