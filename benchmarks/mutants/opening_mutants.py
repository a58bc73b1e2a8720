"""Owns the list of faults for lb/opening: PROXY headers, heads of requests, and who waits for them."""

from .mutant import Fault, Mutant, mutants_of

READING, TABLE, NETWORKS = "lb/opening/reading.pxd", "lb/opening/table.pxd", "lb/opening/networks.pxd"
PROXY, HEAD, LISTENERS = "lb/opening/proxy_protocol.pxd", "lb/opening/request_head.pxd", "lb/listeners.pxd"

RULES: dict[str, tuple[Fault, ...]] = {
    "only who is trusted is believed": (
        (READING, "    if d.openings.proxy_timeout_ns and not is_in_networks(&d.openings.proxies, record):\n", "    if False:\n"),
        (NETWORKS, "        return found.unix_peers\n", "        return True\n"),
        (NETWORKS, "    if memcmp(network.address, address, whole) != 0:\n        return False\n", ""),
        (NETWORKS, "    return rest == 0 or (network.address[whole] ^ address[whole]) >> (8 - rest) == 0\n", "    return True\n"),
        (NETWORKS, "        address[10] = address[11] = 0xFF\n", ""),
        (READING, "    rules.believes_forwarded = is_in_networks(&d.openings.proxies, record)\n", "    rules.believes_forwarded = True\n"),
    ),
    "a PROXY header is exactly one": (
        (PROXY, "    if length > 12 and (data[12] >> 4 != 2 or data[12] & 15 > 1):  # its version; LOCAL or PROXY\n        return PROXY_MALFORMED\n", ""),
        (PROXY, "    if header.length > PROXY_HEADER_BYTES:\n        return PROXY_MALFORMED\n", ""),
        (PROXY, "        if given < PROXY_IPV4_BYTES:\n            return PROXY_MALFORMED\n", ""),
        (PROXY, "        if given < PROXY_IPV6_BYTES:\n            return PROXY_MALFORMED\n", ""),
        (PROXY, "        if looked_at == PROXY_LINE_BYTES or memchr(data, LINE_FEED, looked_at) != NULL:\n", "        if looked_at == PROXY_LINE_BYTES:\n"),
        (PROXY, "    if end[1] != LINE_FEED:\n        return PROXY_MALFORMED\n", ""),
        (PROXY, "    if memchr(word, 0, space - text) != NULL or inet_pton", "    if inet_pton"),
        (PROXY, "value > 65535 or (first[0] == 48 and text - first > 1)", "value > 65535"),
        (PROXY, "        return text if text == end else NULL\n", "        return text\n"),
        (PROXY, "    if data[12] & 15 == 0:  # LOCAL: whatever family it names\n        return PROXY_WHOLE\n", ""),
    ),
    "a header is taken off whole, and names the client": (
        (READING, "    if recv(fd, data, header.length, MSG_DONTWAIT) != <ssize_t>header.length:\n        return PROXY_MALFORMED\n", ""),
        (READING, "        record.family, record.port, record.scope_id = header.family, header.port, 0\n", "        record.family, record.scope_id = header.family, 0\n"),
        (READING, "    if header.has_client:\n", "    if True:\n"),
        (READING, "    record[0] = opening.connection.record\n", ""),
        (READING, "return PROXY_UNFINISHED if length < 0 and errno == EAGAIN else PROXY_MALFORMED", "return PROXY_UNFINISHED"),
    ),
    "who waits is bounded in number and time, and keeps nobody else": (
        (READING, "    if d.openings.count == MAX_OPENINGS:\n        opening_end(d, opening_soonest(&d.openings))\n", ""),
        (READING, "        if d.openings.table[index].deadline_ns <= d.now_ns:\n", "        if False:\n"),
        (READING, "    return d.openings.table[opening_soonest(&d.openings)].deadline_ns\n", "    return NEVER_NS\n"),
        (TABLE, "        if openings.table[index].deadline_ns < openings.table[soonest].deadline_ns:\n", "        if openings.table[index].deadline_ns > openings.table[soonest].deadline_ns:\n"),
        (READING, "    if verdict == PROXY_UNFINISHED and events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):\n", "    if False:\n"),
        (TABLE, "    while openings.used[word] == ~<uint64_t>0:\n        word += 1\n", ""),
        (TABLE, "        index = (index | 63) + 1\n", "        index += 1\n"),
    ),
    "an opening has one owner and a place kept for it": (
        (READING, "    d.held.reserved -= 1\n", ""),
        (READING, "    d.held.reserved += 1\n", ""),
        (READING, "    watch_end(d.epoll_fd, d.openings.table[index].connection.fd)\n", ""),
        (LISTENERS, "    openings_drop_of(d, index)\n", ""),
        (READING, "        if d.openings.table[index].connection.record.listener_id == listener_id:\n", "        if True:\n"),
    ),
    "the head of a request says whose client it is": (
        (READING, "        verdict = PROXY_WHOLE if opening.awaits_head else PROXY_MALFORMED\n", "        verdict = PROXY_MALFORMED\n"),
        (READING, "    if d.openings.table[index].awaits_head:\n        opening_hold(d, index)\n    else:\n        opening_refuse(d, index, &d.page.proxy_late)\n", "    opening_refuse(d, index, &d.page.proxy_late)\n"),
        (READING, "    if key or rules.believes_forwarded or record.family == AF_UNIX:\n", "    if key or record.family == AF_UNIX:\n"),
        (READING, "        opening.deadline_ns = d.now_ns + d.openings.head_timeout_ns\n", ""),
        (READING, "    if d.openings.proxy_timeout_ns and not opening.awaits_head:\n", "    if d.openings.proxy_timeout_ns:\n"),
        (HEAD, "    if length == HEAD_BYTES or not 65 <= data[0] <= 90:  # a method begins with A to Z\n        return True\n", ""),
        (HEAD, "equals + 1 < pair.end and equals - pair.first", "equals - pair.first"),
        (HEAD, "        if line != data and (end == line or line[0] == 13):\n            break\n", ""),
        (HEAD, "            if not is_in_networks(proxies, &record) or (is_first and begin == line.first):\n", "            if not is_in_networks(proxies, &record):\n"),
        (HEAD, "    kept.lines[kept.count % LINES_KEPT] = value\n", "    kept.lines[min(kept.count, <uint32_t>LINES_KEPT - 1)] = value\n"),
    ),
}  # fmt: skip

NATIVE = "tests/native/test_"
WAITING = (f"{NATIVE}openings.py", f"{NATIVE}sticky.py")
TESTS: dict[str, tuple[str, ...]] = {
    "only who is trusted is believed": (f"{NATIVE}request_head.py", *WAITING),
    "a PROXY header is exactly one": (f"{NATIVE}proxy_header.py",),
    "a header is taken off whole, and names the client": WAITING,
    "who waits is bounded in number and time, and keeps nobody else": WAITING,
    "an opening has one owner and a place kept for it": WAITING,
    "the head of a request says whose client it is": (f"{NATIVE}request_head.py", *WAITING),
}
# Faults that change nothing that can be seen, and why.
EQUIVALENT: dict[Fault, str] = {
    (READING, "    d.held.reserved += 1\n", ""): (
        "seen only when more than half of the 1,024 held connections and all openings come together: then the debug build aborts"
    ),
    (
        READING,
        "return PROXY_UNFINISHED if length < 0 and errno == EAGAIN else PROXY_MALFORMED",
        "return PROXY_UNFINISHED",
    ): ("epoll tells of a sender that has left as soon as it is watched, and then it is closed (on_opening_event)"),
    (TABLE, "        index = (index | 63) + 1\n", "        index += 1\n"): ("the same place is found, bit by bit"),
}

OPENING: tuple[Mutant, ...] = mutants_of(RULES, TESTS, EQUIVALENT)
