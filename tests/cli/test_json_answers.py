"""What --json prints is what its schema says: how it ended for each app, and what list and show know."""

from pathlib import Path

import msgspec
import pytest
from fastlb.cli.json_schemas import ALWAYS_JSON, PRINTED, schema_of
from fastlb.cli.operations import Answer
from fastlb.supervisor.home.paths import AppPaths

from tests.support.fastlb_process import Fastlb


def test_how_it_ended_for_each_app(fastlb: Fastlb, stopped: AppPaths) -> None:
    done = fastlb.ok("stop", "all", "--json")
    (answer,) = msgspec.json.decode(done.stdout, type=PRINTED["answers"])
    assert answer == Answer("shop", ok=True, text="stopped already")
    failed = fastlb.cli("reload", "shop", "--json")
    (answer,) = msgspec.json.decode(failed.stdout, type=PRINTED["answers"])
    assert (answer.ok, answer.exit_code, failed.returncode, failed.stderr) == (False, 1, 1, "")
    assert answer.text.startswith("shop is stopped")
    assert fastlb.ok("kill", "--json").stdout == fastlb.ok("ping", "--json").stdout == "[]\n"


def test_start_says_how_it_ended(fastlb: Fastlb) -> None:
    options = ("--name", "shop", "--bind", "127.0.0.1:0", "--json")
    (answer,) = msgspec.json.decode(fastlb.ok("start", "asgi_probe:app", *options).stdout, type=PRINTED["answers"])
    assert (answer.app, answer.ok) == ("shop", True)
    assert answer.text.startswith("listens on 127.0.0.1:")
    failed = fastlb.cli("start", "no_such_module:app", *options[2:], "--name", "other")
    (answer,) = msgspec.json.decode(failed.stdout, type=PRINTED["answers"])
    assert (answer.ok, answer.exit_code) == (False, failed.returncode)
    assert failed.returncode != 0
    assert answer.text.startswith('no module named "no_such_module"')


def test_what_is_known_is_of_its_type(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app", name="shop")
    for command in (("list",), ("show", "shop"), ("env", "shop")):
        printed = fastlb.ok(*command, "--json").stdout
        decoded = msgspec.json.decode(printed, type=PRINTED[command[0]])
        assert msgspec.json.decode(msgspec.json.encode(decoded)) == msgspec.json.decode(printed), "no other fields"


@pytest.mark.parametrize(
    "command",
    ["save", "id shop", "pid", "jlist", "prettylist", "report", "version", "config show shop", "flush", "reload-logs"],
)
def test_what_is_printed_of_a_stopped_app_is_of_its_type(fastlb: Fastlb, stopped: AppPaths, command: str) -> None:
    words = command.split()
    wants_json = () if words[0] in ALWAYS_JSON else ("--json",)
    check_type(words[0], fastlb.ok(*words, *wants_json).stdout)


def test_kept_files_are_told_as_json(fastlb: Fastlb, stopped: AppPaths, tmp_path: Path) -> None:
    backup = tmp_path / "kept"
    written = msgspec.json.decode(fastlb.ok("backup", str(backup), "--json").stdout, type=PRINTED["backup"])
    assert (written.directory, written.apps, written.logs) == (str(backup), ["shop"], "")
    restored = msgspec.json.decode(fastlb.ok("restore", str(backup), "--json").stdout, type=PRINTED["restore"])
    assert [(answer.app, answer.ok) for answer in restored.started] == [("shop", True)]
    assert fastlb.ok("cleardump", "--json").stdout.split() == ["{", '"was_saved":', "true", "}"]
    fastlb.ok("save")
    check_type("resurrect", fastlb.ok("resurrect", "--json").stdout)


def check_type(command: str, printed: str) -> None:
    """Fail where something is printed that the schema does not have."""
    decoded = msgspec.json.decode(printed, type=PRINTED[schema_of(command)])
    assert msgspec.json.decode(msgspec.json.encode(decoded)) == msgspec.json.decode(printed), "no other fields"


def test_numbers_begin_anew_when_all_apps_are_deleted(fastlb: Fastlb, stopped: AppPaths) -> None:
    assert fastlb.ok("id", "shop").stdout == "[ 0 ]\n"
    fastlb.ok("delete", "0")
    assert "there are none yet" in fastlb.cli("show", "0").stderr
