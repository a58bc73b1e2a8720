"""Targets: what can be started, which name follows, and what to type instead."""

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.targets import check_target, name_from_target


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("server:app", "server"),
        ("pkg.main:app", "main"),
        ("app:server", "app"),
        ("a.b.c:create()", "c"),
        ("main:container.app", "main"),
    ],
)
def test_target_has_a_name(target: str, name: str) -> None:
    check_target(target)
    assert name_from_target(target) == name


@pytest.mark.parametrize(
    ("target", "what_to_do"),
    [
        ("server", "server:app"),
        ("server:", "server:app"),
        ("server.py", "type server:app"),
        ("server.py:api", "type server:api"),
        ("src/server.py", "type --app-dir src server:app"),
        ("/srv/my-app.py", "type MODULE:ATTRIBUTE"),
        ("server.js", "Node app"),
        ("server.mjs", "Node app"),
        ("my-app:app", "type MODULE:ATTRIBUTE"),
        (":app", "type MODULE:ATTRIBUTE"),
        ("", "type MODULE:ATTRIBUTE"),
        ("a:b c", "type MODULE:ATTRIBUTE"),
        ("a:b()()", "type MODULE:ATTRIBUTE"),
    ],
)
def test_bad_target_is_answered_with_what_to_type(target: str, what_to_do: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_target(target)
    assert what_to_do in refused.value.message
