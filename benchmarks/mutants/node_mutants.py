"""Owns the list of faults for lb/node/takeback.pxd and lb/turns.pxd: what goes back from a live Node worker, and when."""

from .mutant import Fault, Mutant, mutants_of

TAKEBACK, CHANNEL, TURNS = "lb/node/takeback.pxd", "lb/node/channel.pxd", "lb/turns.pxd"
RESCUE, WORKERS, SLOTS, STATE, READ = (
    "lb/takeback.pxd", "lb/workers.pxd", "lb/slots.pxd", "lb/state.pxd", "lb/node/read.pxd"
)  # fmt: skip

RULES: dict[str, tuple[Fault, ...]] = {
    "only whole lines about connections are taken back": (
        (TAKEBACK, "    if node.written - <uint64_t>unread < node.others_end:  # also when a predecessor's lines are unread\n        return NULL\n", ""),
        (TAKEBACK, "node.pending[i].state == PENDING_SENT and node.pending[i].begins_at == node.written - <uint64_t>unread", "node.pending[i].state == PENDING_SENT"),
        (TAKEBACK, "ioctl(slot.duplicate_fd, FIONREAD, &unread) < 0 or unread <= 0", "ioctl(slot.duplicate_fd, FIONREAD, &unread) < 0"),
        (TAKEBACK, "    if length <= 0 or announced_number(text, <size_t>length) == 0:\n", "    if length <= 0:\n"),
        (TAKEBACK, "held_room(&d.held) == 0 or not is_served(d, unread.record.listener_id)", "held_room(&d.held) == 0"),
    ),
    "what was taken back is expected no more": (
        (TAKEBACK, "    forget_answer(node, pending.number)\n", ""),
        (TAKEBACK, "    count(&d.page.slots[slot - d.slots].answers_read, 1)\n", ""),
        (TAKEBACK, "        node_count(slot)\n", "        pass\n"),
        (TAKEBACK, "        slot_settle(slot, slot.seen_position)\n", ""),
        (TAKEBACK, "        slot.seen_position = slot.node.page.position  # our doing, and no move of the worker\n", ""),
    ),
    "a worker that was stuck is asked, and gets one at a time": (
        (TAKEBACK, "    node_probe(d, <uint32_t>(slot - d.slots))\n", ""),
        (TAKEBACK, "    slot.node.held_up_until_ns = d.now_ns + NODE_HELD_UP_NS\n", ""),
        (CHANNEL, "    if not keeps_clients and (node.held_up_until_ns > now_ns or node.turn_ns > LONG_TURN_NS):\n", "    if node.turn_ns > LONG_TURN_NS:\n"),
        (CHANNEL, "    if not keeps_clients and (node.held_up_until_ns > now_ns or node.turn_ns > LONG_TURN_NS):\n", "    if node.held_up_until_ns > now_ns:\n"),
        (CHANNEL, "<uint32_t>(node.pending_count == node.received_count)", "<uint32_t>1"),
    ),
    "the estimate of turns follows them": (
        (TURNS, "    if length_ns > usual_ns:\n", "    if length_ns < usual_ns:\n"),
        (TURNS, "usual_ns + max(usual_ns // TURN_RISE, <int64_t>LEAST_RISE_NS)", "usual_ns + usual_ns // TURN_RISE"),
        (TURNS, "usual_ns + max(usual_ns // TURN_RISE, <int64_t>LEAST_RISE_NS)", "usual_ns + <int64_t>LEAST_RISE_NS"),
        (TURNS, "        return min(min(length_ns, risen_ns), handover_timeout_ns * LONGEST_TURNS)\n", "        return min(length_ns, risen_ns)\n"),
        (TURNS, "min(min(length_ns, risen_ns), handover_timeout_ns", "min(risen_ns, handover_timeout_ns"),
        (TURNS, "    return max(length_ns, usual_ns - usual_ns // TURN_FALL)\n", "    return length_ns\n"),
        (TURNS, "    return max(length_ns, usual_ns - usual_ns // TURN_FALL)\n", "    return usual_ns - usual_ns // TURN_FALL\n"),
        (TURNS, "    TURN_FALL = 16\n", "    TURN_FALL = 4\n"),
        (TURNS, "    TURN_RISE = 4 ", "    TURN_RISE = 1 "),
    ),
    "an app whose every turn is long is busy, and not stuck": (
        (TURNS, "max(handover_timeout_ns, min(usual_ns, handover_timeout_ns * LONGEST_TURNS) * TURNS_OF_PATIENCE)", "handover_timeout_ns"),
        (TURNS, "max(handover_timeout_ns, min(usual_ns, handover_timeout_ns * LONGEST_TURNS) * TURNS_OF_PATIENCE)", "usual_ns * TURNS_OF_PATIENCE"),
        (TURNS, "min(usual_ns, handover_timeout_ns * LONGEST_TURNS) * TURNS_OF_PATIENCE", "usual_ns * TURNS_OF_PATIENCE"),
        (SLOTS, "    return slot_oldest_sent_ns(slot) + patience_ns(slot.seen_turn_ns, handover_timeout_ns)\n", "    return slot_oldest_sent_ns(slot) + handover_timeout_ns\n"),
        (SLOTS, "    return slot.capacity == 0 and slot.seen_turn_ns > LONG_TURN_NS\n", "    return False\n"),
        (SLOTS, "    return slot.capacity == 0 and slot.seen_turn_ns > LONG_TURN_NS\n", "    return slot.seen_turn_ns > LONG_TURN_NS\n"),
        (SLOTS, "    if slot_waits_its_turn(slot) and least_credit == 0:\n", "    if slot_waits_its_turn(slot):\n"),
        (READ, "            if sent_at_ns:\n", "            if False:\n"),
        (READ, "d.now_ns - max(sent_at_ns, before_ns)", "d.now_ns - before_ns"),
        (TAKEBACK, "    slot.node.turn_ns = turn_seen(slot.node.turn_ns, d.now_ns - since_ns, d.handover_timeout_ns)\n", ""),
        (SLOTS, "        return slot_oldest_sent_ns(slot) + patience_ns(slot.node.turn_ns, handover_timeout_ns)\n", "        return slot_oldest_sent_ns(slot) + handover_timeout_ns\n"),
    ),
    "who leaves the policy leaves what it has not taken": (
        (WORKERS, "    node_take_back_unread(d, slot, room_of_all(d))\n", "    pass\n"),
        (WORKERS, "            leave_to_others(d, slot)\n            node_stop_taking_back(slot)\n", "            node_stop_taking_back(slot)\n"),
        (WORKERS, "            leave_to_others(d, slot)\n            node_stop_taking_back(slot)\n", "            leave_to_others(d, slot)\n"),
        (WORKERS, "    slot_enter(d, slot, SLOT_ADDED)\n    leave_to_others(d, slot)\n", "    slot_enter(d, slot, SLOT_ADDED)\n"),
        (STATE, "        return d.admitted > 0\n", "        return d.admitted > 1\n"),
        (STATE, "return d.admitted > 1 and not keeps_clients(d.policy)", "return not keeps_clients(d.policy)"),
        (TAKEBACK, "    descriptor_close(&slot.duplicate_fd)\n", ""),
    ),
}  # fmt: skip

NATIVE = "tests/native/test_"
TAKING_BACK = (f"{NATIVE}turns.py", f"{NATIVE}node_takeback.py", f"{NATIVE}leaving.py", f"{NATIVE}takeback.py")
LONG_TURNS = "an app whose every turn is long is busy, and not stuck"
TESTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(RULES, TAKING_BACK),
    LONG_TURNS: (*TAKING_BACK, f"{NATIVE}long_turns.py"),
}
# Faults that change nothing that can be seen, and why.
EQUIVALENT: dict[Fault, str] = {
    (TAKEBACK, "node.pending[i].state == PENDING_SENT and node.pending[i].begins_at == node.written - <uint64_t>unread", "node.pending[i].state == PENDING_SENT"): (
        "what is unread is looked at before it is taken, and the number in it says whose it is (take_back_line)"
    ),
    (TAKEBACK, "ioctl(slot.duplicate_fd, FIONREAD, &unread) < 0 or unread <= 0", "ioctl(slot.duplicate_fd, FIONREAD, &unread) < 0"): (
        "no line begins at the end of all that was written"
    ),
    (TAKEBACK, "    if length <= 0 or announced_number(text, <size_t>length) == 0:\n", "    if length <= 0:\n"): (
        "seen only when the worker reads between two of our calls and a plain line follows, which others_end excludes"
    ),
    (TAKEBACK, "        slot.seen_position = slot.node.page.position  # our doing, and no move of the worker\n", ""): (
        "it would count as a receiver, but has no room before its answer to the probe, which is a move"
    ),
    (READ, "d.now_ns - max(sent_at_ns, before_ns)", "d.now_ns - before_ns"): (
        "a worker with little to do seems slow: a timing, and no test is one that would have to serve within a millisecond"
    ),
    (TAKEBACK, "    slot.node.turn_ns = turn_seen(slot.node.turn_ns, d.now_ns - since_ns, d.handover_timeout_ns)\n", ""): (
        "a worker whose every turn is too long is not learnt from what it left, only from what it read: a timing"
    ),
}  # fmt: skip

NODE: tuple[Mutant, ...] = mutants_of(RULES, TESTS, EQUIVALENT)
