"""Taking back: after death, on drain, from a stuck worker, from a predecessor; and what must never happen."""

import os
import select
import socket
import time

from fastlb.lb.command import EventName, Policy, WorkerBounds, encode_pause, encode_quit, encode_resume

from tests.support.channel_worker import ChannelWorker, encode_message
from tests.support.dispatcher_process import DispatcherProcess
from tests.support.waiting import scaled, wait_until

SOON_NS = 5_000_000
PASS_OVER = 0.1  # how long a stuck worker gets nothing; seconds
DEEP = WorkerBounds(credit=32, capacity=0, max_connections=0)


def wait_redispatched(dispatcher: DispatcherProcess, count: int) -> None:
    """Wait until this many connections were taken back."""
    wait_until(lambda: dispatcher.counters()["redispatched"] >= count, f"{count} connections taken back")


def test_connections_of_a_killed_worker_are_served_by_others() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (victim,) = dispatcher.start_workers(1, DEEP)
        clients = dispatcher.connect(count=20)
        dispatcher.wait_dispatched(20)
        survivor = dispatcher.new_worker(1, DEEP)
        dispatcher.admit(survivor)
        victim.kill()
        event = dispatcher.wait_event(EventName.WORKER_DIED, slot=0)
        assert (event.incarnation, event.taken_back) == (victim.incarnation, 20)
        survivor.take_until(20)
        assert {connection.hops for connection in survivor.taken} == {0}
        survivor.finish_all(b"served")
        assert all(client.recv(16) == b"served" for client in clients)


def test_only_untaken_connections_of_a_killed_worker_move() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        victim, survivor = dispatcher.start_workers(2)
        dispatcher.connect(count=10)
        dispatcher.wait_dispatched(10)
        victim.take()
        taken = len(victim.taken)
        victim.kill()
        event = dispatcher.wait_event(EventName.WORKER_DIED)
        assert event.taken_back == 5 - taken
        survivor.take_until(10 - taken)


def test_connections_of_the_only_worker_wait_for_a_successor() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (victim,) = dispatcher.start_workers(1)
        dispatcher.connect(count=7)
        dispatcher.wait_dispatched(7)
        victim.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.remove(victim)
        assert dispatcher.counters()["held"] == 7
        successor = dispatcher.new_worker(0, incarnation=2000)
        dispatcher.admit(successor)
        successor.take_until(7)


def test_held_connections_go_before_new_ones() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (victim,) = dispatcher.start_workers(1)
        (first,) = dispatcher.connect()
        dispatcher.wait_dispatched(1)
        victim.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.connect(count=3)
        successor = dispatcher.new_worker(1)
        dispatcher.admit(successor)
        successor.take_until(4)
        assert successor.taken[0].port == first.getsockname()[1]


def test_drain_takes_back_and_ends_the_channel() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        leaving, staying = dispatcher.start_workers(2)
        dispatcher.connect(count=8)
        dispatcher.wait_dispatched(8)
        dispatcher.drain(leaving)
        event = dispatcher.wait_event(EventName.DRAINED)
        assert (event.slot, event.incarnation, event.taken_back) == (0, leaving.incarnation, 4)
        assert leaving.at_end()
        staying.take_until(8)
        dispatcher.connect(count=4)
        staying.take_until(12)
        dispatcher.remove(leaving)


def test_drain_of_the_only_worker_lets_it_take_the_rest() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1)
        dispatcher.connect(count=3)
        dispatcher.wait_dispatched(3)
        dispatcher.drain(worker)
        dispatcher.ping()
        assert all(event.name is not EventName.DRAINED for event in dispatcher.events)
        worker.take_until(3)
        assert dispatcher.wait_event(EventName.DRAINED).taken_back == 0
        assert worker.at_end()


def test_stuck_workers_connections_go_to_an_idle_one() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        stuck, other = dispatcher.start_workers(2)
        dispatcher.connect(count=2)
        other.take_until(2)
        assert sorted(connection.hops for connection in other.taken) == [0, 1]
        assert dispatcher.slot(stuck)["taken_back"] == 1
        dispatcher.drain(stuck)
        # What was rescued before is no part of the drain.
        assert dispatcher.wait_event(EventName.DRAINED).taken_back == 0


def test_stuck_workers_connections_stay_when_the_other_is_busy_and_still() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        stuck, busy = dispatcher.start_workers(2)
        busy.status.record_busy(1)
        dispatcher.connect()
        wait_until(lambda: dispatcher.counters()["dispatched"], "connection sent")
        # the timer fires once, finds nobody, and asks the workers to tell
        wait_until(lambda: stuck.page.read()["starved"], "dispatcher watches the workers")
        wakeups = dispatcher.wait_quiet()
        dispatcher.ping()
        assert dispatcher.counters()["wakeups"] == wakeups + 1
        assert dispatcher.counters()["redispatched"] == 0
        busy.status.record_busy(-1)
        busy.take_until(1)


def test_connection_hops_at_most_twice() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(3)
        dispatcher.connect()
        wait_redispatched(dispatcher, 2)
        wait_until(lambda: dispatcher.counters()["dispatched"] == 3, "third hand-over")
        dispatcher.wait_quiet()  # it is overdue a third time by now
        for _ in range(5):
            workers[2].status.record_busy(1)
            workers[2].status.record_busy(-1)
            dispatcher.ping()
        dispatcher.admit(dispatcher.new_worker(3))  # who would take it at once
        dispatcher.ping()
        assert dispatcher.counters()["redispatched"] == 2
        (connection,) = [taken for worker in workers for taken in worker.take_all()]
        assert connection.hops == 2


def test_nothing_is_taken_from_a_stuck_worker_under_ip_hash() -> None:
    with DispatcherProcess(Policy.IP_HASH, handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2)
        dispatcher.connect(count=3)
        dispatcher.wait_dispatched(3)
        wakeups = dispatcher.wait_quiet()
        taken = [worker for worker in workers if dispatcher.slot(worker)["untaken"] == 3]
        assert len(taken) == 1
        assert not any(worker.page.read()["starved"] for worker in workers)
        dispatcher.ping()
        assert dispatcher.counters()["wakeups"] == wakeups + 1
        assert dispatcher.counters()["redispatched"] == 0
        taken[0].kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        (other,) = [worker for worker in workers if worker is not taken[0]]
        other.take_until(3)


def test_empty_handed_try_is_not_repeated() -> None:
    """A worker that has read its message and is stopped before it says so."""
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        (stopped,) = dispatcher.start_workers(1)
        dispatcher.connect()
        message = wait_until(stopped.receive, "a message")
        assert message is not None
        dispatcher.admit(dispatcher.new_worker(1))
        wakeups = dispatcher.wait_quiet()
        # what another reader would find there now
        socket.send_fds(stopped.dispatcher_end, [encode_message(99, 1)], [stopped.channel.fileno()])
        for turns in range(1, 4):
            dispatcher.ping()
            assert dispatcher.counters()["wakeups"] == wakeups + turns
        assert dispatcher.counters()["redispatched"] == 0
        assert stopped.receive() is not None
        stopped.say_taken(message)


def test_what_is_sent_after_an_empty_handed_try_is_rescued() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        (stopped,) = dispatcher.start_workers(1)
        dispatcher.connect()
        assert wait_until(stopped.receive, "a message")
        other = dispatcher.new_worker(1)
        dispatcher.admit(other)
        dispatcher.wait_quiet()
        dispatcher.connect(count=2)
        other.take_until(2)
        assert dispatcher.slot(stopped)["taken_back"] == 1


def test_pressure_gives_untaken_connections_to_another() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        pressed, other = dispatcher.start_workers(2)
        dispatcher.connect(count=6)
        dispatcher.wait_dispatched(6)
        pressed.status.set_pressure(True)
        other.take_until(3)
        dispatcher.ping()
        other.take_until(6)


def test_successor_finds_what_its_predecessor_left() -> None:
    with DispatcherProcess(epoch=1) as first:
        first.listen()
        (worker,) = first.start_workers(1)
        clients = first.connect(count=4)
        first.wait_dispatched(4)  # so that they are two messages at least
        clients += first.connect(count=5)
        first.wait_dispatched(9)
        message = worker.take()
        assert message is not None
        assert message.position >> 40 == 1
        first.process.kill()
        first.process.wait()
        with DispatcherProcess(epoch=2) as second:
            second.give_listener(0, first.listeners[0].dup())
            second.workers[0] = first.workers.pop(0)
            second.add(worker)
            second.admit(worker)
            taken = len(message.connections)
            second.wait_dispatched(9 - taken)
            assert second.slot(worker)["untaken"] == 9 - taken
            successor_message = worker.take()
            assert successor_message is not None
            assert successor_message.position == (2 << 40) + len(successor_message.connections)
            worker.take_until(9)
            worker.finish_all(b"x")
            assert all(client.recv(4) == b"x" for client in clients)


def test_removed_workers_connections_are_kept() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1)
        dispatcher.connect(count=2)
        dispatcher.wait_dispatched(2)
        dispatcher.remove(worker)
        assert dispatcher.counters()["held"] == 2
        other = dispatcher.new_worker(0, incarnation=5)
        dispatcher.admit(other)
        other.take_until(2)


def test_more_than_can_be_held_stays_in_its_channel() -> None:
    """1,500 connections of a dead worker: the held queue takes a part, the rest follows."""
    with DispatcherProcess() as dispatcher:
        victim = dispatcher.new_worker(0)
        dispatcher.ping()
        fill_channel(victim, messages=100)
        victim.kill()
        wait_until(lambda: dispatcher.counters()["held"] > 1000, "held queue full")
        assert dispatcher.counters()["held"] <= 1024
        receiver = dispatcher.new_worker(1, WorkerBounds(credit=128, capacity=0, max_connections=0))
        dispatcher.admit(receiver)
        arrived = 0

        def all_arrived() -> bool:
            nonlocal arrived
            arrived += len(receiver.take_all())
            receiver.finish_all()
            return arrived == 1500

        wait_until(all_arrived, "all connections arrived")
        assert dispatcher.wait_event(EventName.WORKER_DIED).taken_back == 1500


def fill_channel(worker: ChannelWorker, messages: int) -> None:
    """Put messages of 15 connections into a worker's channel, as a dispatcher would."""
    worker.dispatcher_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with open(os.devnull) as null:
        for number in range(1, messages + 1):
            socket.send_fds(worker.dispatcher_end, [encode_message(15 * number, 15)], [null.fileno()] * 15)


def test_quit_hands_over_what_is_held() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        one, two = dispatcher.start_workers(2, WorkerBounds(credit=1, capacity=0, max_connections=0))
        dispatcher.connect(count=2)
        dispatcher.wait_dispatched(2)
        one.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        assert dispatcher.counters()["held"] == 1
        dispatcher.send(encode_quit())
        two.take_until(2)
        assert dispatcher.process.wait(scaled(10)) == 0


def test_without_supervisor_it_hands_over_and_ends() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1)
        dispatcher.connect(count=2)
        dispatcher.wait_dispatched(2)
        dispatcher.control.close()
        assert dispatcher.process.wait(scaled(10)) == 0
        assert len(worker.take_all()) == 2


def is_quiet(dispatcher: DispatcherProcess) -> bool:
    """Whether no wake-up comes for a while; for a dispatcher that has lost its supervisor."""
    before = dispatcher.counters()["wakeups"]
    select.select([], [], [], 0.1)
    return dispatcher.counters()["wakeups"] == before


def test_without_supervisor_it_waits_asleep_for_a_worker() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        one, two = dispatcher.start_workers(2, WorkerBounds(credit=1, capacity=0, max_connections=0))
        dispatcher.connect(count=2)
        dispatcher.wait_dispatched(2)
        one.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        dispatcher.control.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: is_quiet(dispatcher), "asleep")
        two.take_until(2)
        assert dispatcher.process.wait(scaled(10)) == 0


def test_the_only_worker_is_not_asked_to_wake_us_about_what_it_has_not_taken() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        (worker,) = dispatcher.start_workers(1)
        dispatcher.connect()
        dispatcher.wait_dispatched(1)
        dispatcher.assert_silent(0.05)
        dispatcher.ping()
        assert not worker.page.read()["starved"]


def test_two_that_take_nothing_get_nothing_of_each_other() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(2)
        dispatcher.send(encode_pause())
        dispatcher.connect(count=2)
        dispatcher.send(encode_resume())
        dispatcher.wait_dispatched(2)
        dispatcher.wait_quiet()  # both are overdue by now
        dispatcher.ping()
        assert dispatcher.counters()["redispatched"] == 0
        assert [dispatcher.slot(worker)["untaken"] for worker in workers] == [1, 1]


def test_stuck_workers_connections_go_to_a_busy_one_that_moves() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        stuck, busy = dispatcher.start_workers(2)
        busy.status.record_busy(2)
        dispatcher.connect()
        wait_until(lambda: stuck.page.read()["starved"], "dispatcher watches the workers")
        dispatcher.wait_quiet()
        assert dispatcher.counters()["redispatched"] == 0
        busy.status.record_busy(-1)
        busy.take_until(1)


def test_not_overdue_stays_with_its_worker() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        slow, _idle = dispatcher.start_workers(2)
        dispatcher.connect()
        dispatcher.wait_dispatched(1)
        for _ in range(3):
            dispatcher.ping()
        assert dispatcher.counters()["redispatched"] == 0
        slow.take_until(1)


def test_what_hopped_before_goes_to_its_own_worker_under_ip_hash() -> None:
    with DispatcherProcess(Policy.IP_HASH) as dispatcher:
        dispatcher.listen()
        workers = dispatcher.start_workers(3)
        dispatcher.connect()
        dispatcher.wait_dispatched(1)
        (own,) = [worker for worker in workers if dispatcher.slot(worker)["untaken"]]
        left = dispatcher.new_worker(3)
        dispatcher.ping()
        with open(os.devnull) as null:
            socket.send_fds(left.dispatcher_end, [encode_message(1, 1, hops=1)], [null.fileno()])
        left.kill()
        dispatcher.wait_event(EventName.WORKER_DIED)
        own.take_until(2)


def test_one_client_in_a_while_finds_out_that_a_worker_is_stuck() -> None:
    """All others go past it at once: 20 clients, one after the other, and every second one would be its."""
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        stuck, other = dispatcher.start_workers(2)
        began = time.monotonic()
        for number in range(1, 21):
            dispatcher.connect()
            other.take_until(number)
        tries = (time.monotonic() - began) / PASS_OVER
        assert 1 <= dispatcher.slot(stuck)["taken_back"] <= 2 + tries
        assert dispatcher.slot(stuck)["sent"] == dispatcher.slot(stuck)["taken_back"]


def test_stuck_worker_that_moves_is_chosen_again_at_once() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        stuck, other = dispatcher.start_workers(2)
        dispatcher.connect()
        other.take_until(1)
        assert dispatcher.slot(stuck)["sent"] == 1
        stuck.status.record_busy(1)
        dispatcher.ping()
        dispatcher.connect(count=2)
        wait_until(lambda: dispatcher.slot(stuck)["sent"] == 2, "one more for the worker that moved")


def test_stuck_worker_is_tried_again_after_a_while() -> None:
    with DispatcherProcess(handover_timeout_ns=SOON_NS) as dispatcher:
        dispatcher.listen()
        stuck, other = dispatcher.start_workers(2)

        def is_tried_again() -> bool:
            dispatcher.connect()
            other.take_until(len(other.taken) + 1)
            other.finish_all()
            return dispatcher.slot(stuck)["sent"] >= 2

        wait_until(is_tried_again, "a second connection for the stuck worker")


def test_withdrawn_worker_keeps_what_it_took_gets_nothing_and_comes_back() -> None:
    with DispatcherProcess() as dispatcher:
        dispatcher.listen()
        withdrawn, other = dispatcher.start_workers(2, DEEP)
        dispatcher.connect(count=8)
        dispatcher.wait_dispatched(8)
        withdrawn.take()
        kept = len(withdrawn.taken)
        dispatcher.withdraw(withdrawn)
        dispatcher.connect(count=8)
        other.take_until(16 - kept)
        assert len(withdrawn.taken) == kept
        dispatcher.withdraw(other)
        clients = dispatcher.connect(count=3)
        dispatcher.admit(withdrawn)
        withdrawn.take_until(kept + 3)
        withdrawn.finish_all(b"served")
        assert all(client.recv(16) == b"served" for client in clients)
