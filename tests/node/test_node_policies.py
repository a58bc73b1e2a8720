"""Who gets a connection among Node workers: by turns, by open connections, by the client's address, within bounds."""

from collections import Counter
from contextlib import ExitStack

from tests.support.client import Connection, get
from tests.support.fastlb_process import App, Fastlb
from tests.support.load_plan import Plan
from tests.support.load_process import LoadProcess
from tests.support.node_driver import start_node, wait_for_answers_of, who_answers
from tests.support.waiting import wait_until

# A free worker may not be skipped because this machine was slow for 5 ms.
PATIENT = ("--handover-timeout", "5")
HELD = 10
FOR_EVER = "/slow?ms=600000"
SOURCES = [f"127.0.0.{number}" for number in range(2, 22)]


def hold(stack: ExitStack, app: App, count: int) -> None:
    """Hold so many connections, each with a request that is not answered."""
    begun = app.fastlb.requests_begun_and_ended()[0]
    for wanted in range(begun + 1, begun + count + 1):
        stack.enter_context(Connection(app.address)).send(FOR_EVER)
        # One after the other: of many at a time, each worker gets as many as its credit allows, however many it has.
        wait_for_begun(app, wanted)


def wait_for_begun(app: App, requests: int) -> None:
    wait_until(lambda: app.fastlb.requests_begun_and_ended()[0] == requests, "the request is being processed")


def connections(app: App) -> list[int]:
    return [worker["connections"] for worker in app.entry()["workers"]]


def pids_by_source(app: App) -> dict[str, set[int]]:
    """Which workers answer each client."""
    return {source: {get(app.address, source=source).json()["pid"] for _ in range(3)} for source in SOURCES}


def test_round_robin_goes_by_turns(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", *PATIENT, workers=3)
    answers = who_answers(app.address, 30)
    # One that has not said yet that it took its last connection is passed over.
    assert len(answers) == 3
    assert min(answers.values()) >= 8, answers


def test_ip_hash_keeps_a_client_at_its_worker(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--balance", "ip-hash", *PATIENT, workers=3)
    answered_by = pids_by_source(app)
    assert {len(pids) for pids in answered_by.values()} == {1}
    assert set.union(*answered_by.values()) == set(app.worker_pids), "and the clients are spread"


def test_ip_hash_moves_only_the_clients_of_a_worker_that_goes(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--balance", "ip-hash", *PATIENT, workers=3)
    before = pids_by_source(app)
    app.ok("scale", "2")
    app.wait_online(2)
    staying = set(app.worker_pids)
    after = pids_by_source(app)
    assert {source for source in SOURCES if before[source] != after[source]} == {
        source for source in SOURCES if not before[source] <= staying
    }


def test_ip_hash_keeps_clients_at_the_number_of_a_worker_over_a_reload(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--balance", "ip-hash", "--settle", "0", *PATIENT)

    def numbers() -> dict[str, str]:
        return {source: get(app.address, source=source).json()["NODE_APP_INSTANCE"] for source in SOURCES}

    before = numbers()
    app.ok("reload")
    assert numbers() == before


def test_least_connections_goes_by_what_is_really_open(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--balance", "least-connections", *PATIENT, workers=1)
    with ExitStack() as stack:
        hold(stack, app, HELD)
        app.ok("scale", "2")
        busy, idle = app.worker_pids
        assert connections(app) == [HELD, 0]
        assert who_answers(app.address, HELD) == Counter({idle: HELD})
        wait_until(lambda: connections(app) == [HELD, 0], "all of those are closed")
        hold(stack, app, HELD)
        assert connections(app) == [HELD, HELD]
        assert wait_for_answers_of(app.address) == {busy, idle}


def test_closed_connections_count_no_more(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--balance", "least-connections", *PATIENT)
    with ExitStack() as stack:
        hold(stack, app, 2 * HELD)
    wait_until(lambda: connections(app) == [0, 0], "all are closed")
    with ExitStack() as stack:
        hold(stack, app, 2 * HELD)
        assert connections(app) == [HELD, HELD]


def test_keep_alive_connections_are_counted_while_they_are_idle(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--balance", "least-connections", *PATIENT)
    with ExitStack() as stack:
        clients = [stack.enter_context(Connection(app.address)) for _ in range(4)]
        for client in clients:
            assert client.exchange().status == 200
        assert connections(app) == [2, 2]
    wait_until(lambda: connections(app) == [0, 0], "all are closed")


def test_no_worker_gets_more_than_max_connections(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--max-connections", "3", *PATIENT)
    with ExitStack() as stack:
        hold(stack, app, 6)
        assert connections(app) == [3, 3]
        with Connection(app.address) as waiting:
            waiting.send(close=True)
            stack.close()
            assert waiting.receive().status == 200, "it has waited for a place"


def test_load_beyond_max_connections_is_served_to_the_end(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "http.js", "--max-connections", "2", "--balance", "least-connections")
    with LoadProcess(Plan(address=app.address, clients=16, requests=500, timeout=20)) as load:
        load.join()
    assert load.report.failed == 0, load.report
    assert load.report.ok == 500


def test_app_that_refuses_connections_itself_gets_no_more_and_none_is_lost(fastlb: Fastlb) -> None:
    app = start_node(fastlb, "max_connections.js", "--env", "MOST=2")
    with LoadProcess(Plan(address=app.address, clients=16, requests=300, timeout=20)) as load:
        load.join()
    assert load.report.failed == 0, load.report
