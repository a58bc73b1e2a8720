"""Owns the list of faults for the compiled core: at least three for each rule of the dispatcher.

A rule stands once, with its faults below it. `old` must stand once in its file.
"""

from .mutant import Fault, Mutant, mutants_of

TAKEBACK, SLOTS, POLICY = "lb/takeback.pxd", "lb/slots.pxd", "lb/policy.pxd"
HANDOVER, LISTENERS, STATE = "lb/handover.pxd", "lb/listeners.pxd", "lb/state.pxd"
ACCEPT, SEND, PAGE, INBOX = "lb/accept.pxd", "lb/send_error.pxd", "lb/page.pxd", "lb/inbox.pyx"
WORKERS, DISPATCHER = "lb/workers.pxd", "lb/dispatcher.pyx"

RULES: dict[str, tuple[Fault, ...]] = {
    "a connection hops twice at most": (
        (STATE, "    MAX_HOPS = 2\n", "    MAX_HOPS = 2000\n"),
        (STATE, "    MAX_HOPS = 2\n", "    MAX_HOPS = 1\n"),
        (TAKEBACK, "        connection.record.hops += counts\n", "        connection.record.hops += 0\n"),
        (TAKEBACK, "take_back_message(d, slot, True)", "take_back_message(d, slot, False)"),
    ),
    "the position is stored last": (
        (
            PAGE,
            "        store_u64(&self.page.busy, self.page.busy + count)\n"
            "        store_u64(&self.page.taken, self.page.taken + count)\n"
            "        store_u64(&self.page.position, position)\n",
            "        store_u64(&self.page.position, position)\n"
            "        store_u64(&self.page.busy, self.page.busy + count)\n"
            "        store_u64(&self.page.taken, self.page.taken + count)\n",
        ),
        (PAGE, "store_u64(&self.page.taken, self.page.taken + count)", "store_u64(&self.page.taken, count)"),
        (PAGE, "        store_u64(&self.page.position, position)\n", "        pass\n"),
    ),
    "under ip-hash nothing is taken back from a live worker": (
        (STATE, "return d.admitted > 1 and not keeps_clients(d.policy)", "return d.admitted > 1"),
        (HANDOVER, "if held.rescued and not keeps_clients(d.policy):", "if held.rescued:"),
        (STATE, "STICKY_CREDIT if keeps_clients(d.policy) else 0", "0"),
    ),
    "from a live worker only what is overdue is taken back": (
        (TAKEBACK, "        and overdue_at_ns(d, slot) <= d.now_ns\n", ""),
        (SLOTS, "    return slot_oldest_sent_ns(slot) + patience_ns(slot.seen_turn_ns, handover_timeout_ns)\n", "    return 0x7FFFFFFFFFFFFFFF\n"),
        (SLOTS, "    newest.sent_at_ns = now_ns\n", "    newest.sent_at_ns = 0\n"),
        (SLOTS, "slot.seen_pressure or slot_is_full(slot):", "slot_is_full(slot):"),
    ),
    "what is taken back goes to one who takes it at once": (
        (TAKEBACK, "        if receivers_room(d) == 0:\n            d.rescue_wanted = True\n            return\n", ""),
        (SLOTS, "return slot_untaken(slot) == 0 and (", "return ("),
        (SLOTS, "(slot.seen_busy == 0 or slot.moved_at_ns > moved_after_ns)", "(slot.seen_busy == 0)"),
        (POLICY, "        if not is_able(one, listener) or one.overdue:\n", "        if not is_able(one, listener):\n"),
    ),
    "a worker that left a message is passed over for a while": (
        (TAKEBACK, "            pass_over(d, slot)\n", "            pass\n"),
        (STATE, "        candidate.room = 0\n        candidate.waiting_place = False\n", "        pass\n"),
        (SLOTS, "    slot.passed_over_until_ns = 0\n", ""),
        (STATE, "    PASS_OVER_NS = 100_000_000 ", "    PASS_OVER_NS = 100_000_000_000 "),
    ),
    "credit bounds what a worker has not taken": (
        (SLOTS, "    return slot_untaken(slot) + slot.stage.count\n", "    return slot_untaken(slot)\n"),
        (SLOTS, "return bound - <uint32_t>used if used < bound else 0", "return bound"),
        (SLOTS, "slot.credit if slot.credit > least_credit else least_credit, given", "MAX_CREDIT, given"),
        (WORKERS, "    slot.credit = min(max(wanted.credit, 1), MAX_CREDIT)\n", "    slot.credit = MAX_CREDIT\n"),
    ),
    "one waits for a full worker, until another has room": (
        (SLOTS, "seen_pressure or slot_is_full(slot):", "seen_pressure:"),
        (SLOTS, "    if given and slot.moved_at_ns <= moved_after_ns:\n        return False\n", ""),
        (STATE, "not keeps_clients(d.policy) and slot_has_waiting_place", "slot_has_waiting_place"),
        (TAKEBACK, "        elif not waits:\n", "        else:\n"),
        (TAKEBACK, "slot_oldest_sent_ns(slot) < slot_oldest_sent_ns(&d.slots[found])", "True"),
        (DISPATCHER, "        d.rescue_wanted |= d.table.with_room < places and d.admitted > 1\n", ""),
    ),
    "messages are no larger than their worker wants them": (
        (HANDOVER, "stage.count >= slot_per_message(&d.slots[slot_index])", "stage.count >= CONNECTIONS_PER_MESSAGE"),
        (SLOTS, "slot.seen_per_message == 0 or slot.seen_per_message > CONNECTIONS_PER_MESSAGE", "False"),
        (SLOTS, "    slot.seen_per_message = load_u64(&slot.page.per_message)", "    slot.seen_per_message = 0"),
    ),
    "capacity bounds busy connections, max_connections open ones": (
        (SLOTS, "    if slot.capacity:\n        room = ", "    if False:\n        room = "),
        (SLOTS, "    if slot.max_connections:\n", "    if False:\n"),
        (SLOTS, "<uint64_t>claim_clamp(slot.seen_busy) + given", "<uint64_t>claim_clamp(slot.seen_busy)"),
        (
            SLOTS,
            "    return claim_clamp(<uint64_t>claim_clamp(open) + slot_given(slot))\n",
            "    return claim_clamp(open)\n",
        ),
    ),
    "a worker under pressure gets nothing": (
        (SLOTS, "slot.full or slot.seen_pressure or", "slot.full or"),
        (INBOX, "            self.status.set_pressure(True)\n", "            pass\n"),
        (INBOX, "            self.status.set_pressure(False)\n", ""),
        (INBOX, "            if spare < len(taken):\n                self.press()\n                break\n", ""),
    ),
    "what a page says is clamped": (
        (SLOTS, "    position = min(position, slot.sent_position)\n", ""),
        (SLOTS, "    if position <= slot.settled_position:\n        return\n", ""),
        (SLOTS, "return <uint32_t>claim if claim < CLAIM_CEILING else CLAIM_CEILING", "return <uint32_t>claim"),
        (SLOTS, "taken - slot.seen_closed if taken > slot.seen_closed else 0", "taken - slot.seen_closed"),
    ),
    "round-robin is exact": (
        (POLICY, "    table.cursor = <uint32_t>index + 1\n", ""),
        (POLICY, "    cdef int32_t slow = NOBODY\n    cdef uint32_t index = table.cursor\n", "    cdef int32_t slow = NOBODY\n    cdef uint32_t index = 0\n"),
        (POLICY, "            if not table.candidates[index].slow:\n                return <int32_t>index\n", "            return <int32_t>index\n"),
        (POLICY, "    chosen.room -= 1\n", ""),
    ),
    "least-connections chooses the fewest open": (
        (POLICY, "    return one.open < other.open\n", "    return one.open > other.open\n"),
        (POLICY, "    chosen.open += 1\n", ""),
        (POLICY, "    if one.slow != other.slow:\n        return other.slow\n    return one.open", "    return one.open"),
        (STATE, "    candidate.open = slot_open(slot)\n", "    candidate.open = 0\n"),
    ),
    "ip-hash is a rendezvous": (
        (POLICY, "weight = mix(client ^ table.candidates[index].hash_seed)", "weight = mix(client + <uint64_t>index)"),
        (POLICY, "best_weight < own_weight\n", "False\n"),
        (POLICY, "    if is_mapped_ipv4(record.address):\n        return hash_bytes(record.address + 12, 4)\n", ""),
        (POLICY, "(best == NOBODY or weight > best_weight)", "best == NOBODY"),
        (POLICY, "(record.family == AF_INET or record.family == AF_INET6)", "True"),
    ),
    "an error of accept4 costs no client and no spin": (
        (LISTENERS, "    if verdict == ACCEPT_PAUSE and has_staged(d):\n        flush_stages(d)\n        return True\n", ""),
        (LISTENERS, "    listener.paused_until_ns = d.now_ns + listener.pause_ns\n", ""),
        (LISTENERS, "        listener.ready = False\n        return False\n", "        return False\n"),
        (LISTENERS, "    if verdict == ACCEPT_BROKEN:\n        listener_break(d, index)\n", ""),
        (LISTENERS, "        listener.pause_ns = 0\n", ""),
    ),
    "no failed send loses a connection": (
        (HANDOVER, "    stage_refused(d, slot)\n    if verdict == SEND_FULL:\n", "    if verdict == SEND_FULL:\n"),
        (HANDOVER, "        slot.full = True\n        candidate_close(&d.table, slot.candidate)\n        if", "        if"),
        (HANDOVER, "        d.send_paused_until_ns = d.now_ns + SEND_PAUSE_NS\n", "        pass\n"),
        (SEND, "    if error == ETOOMANYREFS:\n        return SEND_PAUSE\n", ""),
        (LISTENERS, "    dispatch_held(d)  # what a channel refused is held now, and another worker may take it\n", ""),
    ),
    "messages are whole or thrown away": (
        (TAKEBACK, "        received.fd_count == message.count\n        and <size_t>", "        <size_t>"),
        (TAKEBACK, "    if message.magic != CONNECTION_MAGIC or not 1 <=", "    if not 1 <="),
        (TAKEBACK, "        close_rights(&received)\n        count(&d.page.malformed, 1)\n", "        pass\n"),
        (INBOX, "received.length < CONNECTION_HEADER_BYTES or received.flags & MSG_TRUNC", "received.length < CONNECTION_HEADER_BYTES"),
    ),
    "a connection is accepted only when somebody may take it": (
        (LISTENERS, "while listener.budget and has_taker(d, index) and d.held.count == d.held_passed:", "while listener.budget:"),
        (LISTENERS, "wanted and listener_may_accept(d, listener) and has_taker(d, index)", "wanted and listener_may_accept(d, listener)"),
        (STATE, "return d.table.with_room > 0 and d.now_ns", "return d.now_ns"),
        (LISTENERS, "    return not d.paused and not d.finishing\n", "    return True\n"),
    ),
    "a worker that drains gets nothing new and loses nothing": (
        (WORKERS, "            shutdown(slot.channel_fd, SHUT_WR)\n", "            pass\n"),
        (WORKERS, "        start_emptying(d, slot, EVENT_DRAINED)\n", ""),
        (TAKEBACK, "    if slot.state == SLOT_DRAINING and d.admitted == 0:\n        return channel_is_empty(slot)\n", ""),
        (WORKERS, "        slot_enter(d, slot, SLOT_DRAINING)\n", ""),
    ),
    "what a dead worker has not taken goes to others": (
        (WORKERS, "    start_emptying(d, slot, EVENT_WORKER_DIED)\n", ""),
        (WORKERS, "    take_back_all(d, slot)\n    return 0\n", "    return 0\n"),
        (HANDOVER, "    report_slot(d, slot, EVENT_CHANNEL_CLOSED)\n    start_emptying(d, slot, 0)\n", "    report_slot(d, slot, EVENT_CHANNEL_CLOSED)\n"),
    ),
    "a sleeping dispatcher is woken": (
        (PAGE, "    if load_u32(&page.starved):\n", "    if False:\n"),
        (INBOX, "        if taken:\n            self.status.wake()\n", ""),
        (INBOX, "            self.release()\n            self.inbox.on_socket_closed()\n", "            self.inbox.on_socket_closed()\n"),
    ),
}  # fmt: skip

NATIVE = "tests/native/test_"
TAKING_BACK = (f"{NATIVE}takeback.py", f"{NATIVE}policy.py")
BOUNDS = (f"{NATIVE}bounds.py", f"{NATIVE}dispatch.py", f"{NATIVE}malformed.py")
TESTS: dict[str, tuple[str, ...]] = {
    "a connection hops twice at most": TAKING_BACK,
    "the position is stored last": (
        "tests/worker/test_page_order.py",
        "tests/worker/test_inbox.py",
        f"{NATIVE}bounds.py",
    ),
    "under ip-hash nothing is taken back from a live worker": (*TAKING_BACK, f"{NATIVE}dispatch.py"),
    "from a live worker only what is overdue is taken back": TAKING_BACK,
    "what is taken back goes to one who takes it at once": TAKING_BACK,
    "a worker that left a message is passed over for a while": TAKING_BACK,
    "credit bounds what a worker has not taken": BOUNDS,
    "capacity bounds busy connections, max_connections open ones": BOUNDS,
    "one waits for a full worker, until another has room": (f"{NATIVE}waiting_places.py",),
    "messages are no larger than their worker wants them": (f"{NATIVE}handover.py",),
    "a worker under pressure gets nothing": (f"{NATIVE}bounds.py", "tests/worker/test_inbox.py"),
    "what a page says is clamped": (f"{NATIVE}bounds.py", f"{NATIVE}malformed.py"),
    "round-robin is exact": (f"{NATIVE}policy.py", f"{NATIVE}dispatch.py"),
    "least-connections chooses the fewest open": (f"{NATIVE}policy.py", f"{NATIVE}bounds.py"),
    "ip-hash is a rendezvous": (f"{NATIVE}policy.py", f"{NATIVE}dispatch.py"),
    "an error of accept4 costs no client and no spin": (f"{NATIVE}faults.py",),
    "no failed send loses a connection": (f"{NATIVE}faults.py",),
    "messages are whole or thrown away": (f"{NATIVE}malformed.py", "tests/worker/test_inbox.py"),
    "a connection is accepted only when somebody may take it": (f"{NATIVE}bounds.py", f"{NATIVE}node_listeners.py"),
    "a worker that drains gets nothing new and loses nothing": (f"{NATIVE}takeback.py",),
    "what a dead worker has not taken goes to others": (f"{NATIVE}takeback.py", f"{NATIVE}faults.py"),
    "a sleeping dispatcher is woken": (f"{NATIVE}wakeup.py", f"{NATIVE}bounds.py", "tests/worker/test_inbox.py"),
}
# Faults that change nothing that can be seen, and why.
EQUIVALENT: dict[Fault, str] = {
    (LISTENERS, "        listener.ready = False\n        return False\n", "        return False\n"): (
        "one accept4 in vain each turn: no figure of ours counts it, and the dispatcher sleeps as before"
    ),
    (LISTENERS, "    if verdict == ACCEPT_BROKEN:\n        listener_break(d, index)\n", ""): (
        "the kernel tells again of a listener that was shut and is not polled, and then it is broken (on_listener_event)"
    ),
    (LISTENERS, "        listener.pause_ns = 0\n", ""): (
        "the next shortage of descriptors begins with a pause of 100 ms instead of 10: a timing, and no test is one"
    ),
}

CORE: tuple[Mutant, ...] = mutants_of(RULES, TESTS, EQUIVALENT)
