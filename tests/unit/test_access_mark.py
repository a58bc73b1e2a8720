"""Lines of the access log are taken out of what else a worker prints, and nothing else is changed."""

import random

from fastlb.worker.access_log.mark import ACCESS_MARK, AccessSorter

MARK = ACCESS_MARK.encode()


def test_lines_are_sorted_wherever_they_stand() -> None:
    sorter = AccessSorter()
    assert sorter.sort(b"one\n" + MARK + b"GET\ntwo\n") == (b"one\ntwo\n", b"GET\n")
    assert sorter.sort(b"half" + MARK + b"POST\n") == (b"", b"POST\n")
    assert sorter.sort(b" done\n") == (b"half done\n", b"")
    assert sorter.sort(b".." + MARK + b"PUT\n") == (b"", b"PUT\n")
    assert sorter.end() == b"..\n"
    assert sorter.end() == b""


def test_what_has_no_mark_is_left_alone() -> None:
    lines = b"\x1e{}\nplain\n"
    assert AccessSorter().sort(lines) == (lines, b"")


def test_any_mixture_comes_out_whole(rng: random.Random) -> None:
    sorter = AccessSorter()
    others, access, sent_others, sent_access = b"", b"", b"", b""
    for number in range(300):
        if rng.random() < 0.5:
            line = b"line %d" % number + (b"\n" if rng.random() < 0.7 else b"")
            sent_others += line
        else:
            line = MARK + b"GET %d\n" % number
            sent_access += b"GET %d\n" % number
        if not line.endswith(b"\n"):
            line += MARK + b"X\n"
            sent_access += b"X\n"
        found = sorter.sort(line)
        others, access = others + found[0], access + found[1]
    assert access == sent_access
    assert (others + sorter.end()).rstrip() == sent_others.rstrip()
