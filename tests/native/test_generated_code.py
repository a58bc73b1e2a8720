"""The promise "no Python on the way of a connection", checked in the C that Cython generated.

Reads the C of the build that is under test (build/cython or build/cython-debug); without one (an installed wheel)
there is nothing to read, and the test says so.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = [ROOT / "build" / folder / "lb" / "dispatcher.c" for folder in ("cython", "cython-debug")]
# what a function that touches Python objects, exceptions or the GIL would name
PYTHON = re.compile(r"\b(Py[A-Z]\w*|__Pyx_(?!T_|enum_)\w*|__pyx_L1_error|__pyx_lineno|__pyx_(?:n_s|int|kp)_\w+)")
DEFINITION = re.compile(
    r"^static (?:CYTHON_INLINE )?[\w ]+ \*?(__pyx_f_6fastlb_2lb_\w+)\(([^;{]*)\) \{$", re.MULTILINE
)
HARMLESS = {"Py_ssize_t"}
HOT = (
    "loop", "turn", "on_event", "prepare_sleep", "accept_sweep", "accept_from_all", "accept_connection", "stage_held",
    "stage_connection", "dispatch_held", "flush_stages", "send_stage", "send_message", "stage_sent", "choose",
    "choose_round_robin", "choose_ip_hash", "choose_least_connections", "candidates_refresh", "slot_refresh",
    "slot_settle", "take_back_message", "receive", "rescue_overdue", "empty_channels", "read_command",
    "handle_command", "flush_events", "publish", "arm_timer", "next_deadline_ns", "next_overdue_ns", "watch_change",
    "watched_kind", "watched_index",
    # of Node workers
    "node_hand_over", "node_write", "write_line", "announce_connection", "attach_right", "on_node_event", "node_read",
    "node_take_lines", "node_take_next", "node_take_line", "classify_node_line", "node_answered", "node_accepted",
    "node_refused", "node_forward", "node_consume", "node_empty_channel", "node_flush", "attend_nodes", "attend_node",
    "node_due_ns", "look_at_nodes", "next_node_deadline_ns", "has_taker", "node_enter_reading", "node_enter_writing",
    "node_poll", "watch_begin", "watch_end", "node_take_back", "node_take_back_unread", "take_back_connection",
    "take_back_line", "first_unread", "turn_seen", "patience_ns", "leave_to_others", "may_go_to_another",
    # of connections to which something comes first
    "opening_begin", "opening_look", "opening_wait", "opening_hold", "opening_end", "opening_refuse", "opening_forget",
    "on_opening_event", "openings_expire", "openings_drop_of", "next_opening_deadline_ns", "take_proxy_header",
    "awaits_head", "head_has_come", "client_key", "choose_for", "choose_sticky", "opening_add", "opening_remove",
    "opening_next", "opening_soonest", "is_in_networks", "network_has", "address_as_ipv6", "parse_proxy_header",
    "parse_version_1", "parse_version_2", "take_binary_client", "take_text_client", "take_address", "take_port",
    "is_head_whole", "key_in_head", "key_in_lines", "key_in_line", "key_in_cookies", "for_parameter", "parse_hop",
    "without_port", "trimmed", "keep_line", "is_named", "is_blank",
)  # fmt: skip


def functions_without_gil(generated: str) -> dict[str, str]:
    """Name and body of every function of our layer in the generated C."""
    found: dict[str, str] = {}
    for match in DEFINITION.finditer(generated):
        end = generated.index("\n}\n", match.end())
        # without comments: Cython repeats the source in them
        found[match.group(1)] = re.sub(r"/\*.*?\*/", "", generated[match.end() : end], flags=re.DOTALL)
    return found


@pytest.fixture(scope="module")
def generated() -> str:
    sources = [path for path in GENERATED if path.exists()]
    if not sources:
        pytest.skip("no generated C beside these tests: not a build from source")
    return max(sources, key=lambda path: path.stat().st_mtime).read_text()


@pytest.fixture(scope="module")
def functions(generated: str) -> dict[str, str]:
    return functions_without_gil(generated)


def python_in(body: str) -> set[str]:
    """Names of Python's C API in a function's body."""
    return set(PYTHON.findall(body)) - HARMLESS


def plain_name(mangled: str) -> str:
    """A function's name without its module's, whose length stands before it."""
    rest = mangled.removeprefix("__pyx_f_6fastlb_2lb_")
    while module := re.match(r"\d+", rest):  # a module's length and name
        rest = rest[module.end() + int(module.group()) + 1 :]
    return rest


def body_of(functions: dict[str, str], name: str) -> str:
    bodies = [body for mangled, body in functions.items() if plain_name(mangled) == name]
    assert bodies, f"{name} is not in the generated C"
    return bodies[0]


@pytest.mark.parametrize("name", HOT)
def test_function_touches_no_python(functions: dict[str, str], name: str) -> None:
    assert not python_in(body_of(functions, name))


def test_nothing_between_sleep_and_send_touches_python(functions: dict[str, str]) -> None:
    assert len(functions) > 100
    assert not {name for name, body in functions.items() if python_in(body)}


def test_no_function_takes_what_it_does_not_use(generated: str) -> None:
    """Cython marks such a parameter for the C compiler."""
    heads = DEFINITION.findall(generated)
    assert len(heads) > 100
    assert [plain_name(name) for name, parameters in heads if "CYTHON_UNUSED" in parameters] == []


def test_python_would_be_found() -> None:
    body = "__Pyx_INCREF(__pyx_v_x); __pyx_t_1 = PyLong_FromLong(n); __PYX_ERR(0, 1, __pyx_L1_error)"
    assert python_in(body) == {"__Pyx_INCREF", "PyLong_FromLong", "__pyx_L1_error"}


def test_worker_pages_are_looked_at_again_after_the_fence(functions: dict[str, str]) -> None:
    """The order that makes the wake-up safe: flags, full fence, pages."""
    body = body_of(functions, "prepare_sleep")
    fence = body.index("fastlb_full_fence")
    flags = body.index("watch_workers(__pyx_v_d, 1)")
    assert flags < fence < body.index("workers_moved(")
