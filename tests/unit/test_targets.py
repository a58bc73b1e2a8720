"""Targets: what can be started, which name follows, and what to type instead."""

import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.settings.targets import check_target, name_from_target, usable_name, worker_kind, wrapper_name


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("server:app", "server"),
        ("shop.api:app", "shop"),
        ("project.wsgi:application", "project"),
        ("app:server", "app"),
        ("a.b.c:create()", "a"),
        ("src.shop.main:app", "shop"),
        ("src:app", "src"),
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
        ("server.js:app", "type server.js"),
        ("node dist/server.js", "type `fastlb start dist/server.js`"),
        ("npm", "type `fastlb start dist/server.js`"),
        ("npm start", "in a process of its own"),
        ("node_modules/.bin/nest", "type `fastlb start dist/main.js`"),
        ("/usr/bin/npx", "'npx' starts"),
        ("tsx", "type `fastlb start --interpreter tsx server.ts`"),
        ("next", "type `fastlb start node_modules/next/dist/bin/next -- start`"),
        ("bun", "another protocol"),
        ("ecosystem.config.js", "is a configuration file, and `fastlb start` and `fastlb check` read TOML"),
        ("deploy/ecosystem.config.cjs", "is a configuration file"),
        ("app.json", "is a configuration file"),
        ("worker.sh", "'worker.sh' is a shell script, and cluster mode runs apps of Python and Node"),
        ("./bin/serve.rb", "is a Ruby program"),
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


@pytest.mark.parametrize(
    ("target", "interpreter", "kind"),
    [
        ("server:app", "", "python"),
        ("pkg.main:create()", "", "python"),
        ("server", "", "python"),
        ("server.py", "", "python"),
        ("src/server.py", "", "python"),
        ("gunicorn app:app", "", "python"),
        ("next:app", "", "python"),
        ("server.js:app", "", "python"),
        ("server.js", "", "node"),
        ("server.mjs", "", "node"),
        ("server.cjs", "", "node"),
        ("src/server.ts", "", "node"),
        ("server.mts", "", "node"),
        ("package.json", "", "node"),
        ("api/package.json", "", "node"),
        (".", "", "node"),
        ("..", "", "node"),
        ("./api", "", "node"),
        ("bin/www", "", "node"),
        ("server", "node", "node"),
        ("server:app", ".venv/bin/python", "python"),
    ],
)
def test_target_and_interpreter_say_what_runs_it(target: str, interpreter: str, kind: str) -> None:
    assert worker_kind(target, interpreter) == kind


@pytest.mark.parametrize(
    ("target", "interpreter", "name"),
    [
        ("server.js", "", "server"),
        ("dist/server.mjs", "", "server"),
        ("app.config.ts", "", "app.config"),
        ("/srv/my app.cjs", "", "my-app"),
        ("bin/www", "", "www"),
        ("my.server", "node", "my.server"),
        (".hidden.js", "", "hidden"),
        (".", "", ""),
        ("..", "", ""),
        ("api/", "", ""),
        ("api/package.json", "", ""),
        ("x" * 100 + ".js", "", "x" * 64),
    ],
)
def test_script_has_a_name(target: str, interpreter: str, name: str) -> None:
    check_target(target, interpreter)
    assert name_from_target(target, interpreter) == name


@pytest.mark.parametrize(
    ("target", "interpreter", "reason"),
    [
        ("server:app", "tsx", "leave out --interpreter"),
        ("server.py", "node", "leave out --interpreter"),
        ("", "node", "no script for Node"),
    ],
)
def test_interpreter_is_for_scripts(target: str, interpreter: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        check_target(target, interpreter)


@pytest.mark.parametrize("target", ["next/", "./next", "npm.js", "node_modules/next/dist/bin/next", "next:app", ""])
def test_what_only_looks_like_a_wrapper_is_none(target: str) -> None:
    assert wrapper_name(target) == ""


@pytest.mark.parametrize(
    ("text", "name"), [("@acme/api", "acme-api"), ("shop", "shop"), ("--- ", ""), ("../..", ""), ("a\0b\n", "a-b")]
)
def test_any_text_becomes_a_name_that_can_be_used(text: str, name: str) -> None:
    assert usable_name(text) == name
