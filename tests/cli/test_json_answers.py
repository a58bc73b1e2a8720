"""What --json prints is what its schema says: how it ended for each app, and what list and show know."""

import msgspec
from fastlb.cli.json_schemas import PRINTED
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


def test_numbers_begin_anew_when_all_apps_are_deleted(fastlb: Fastlb, stopped: AppPaths) -> None:
    assert fastlb.ok("id", "shop").stdout == "[ 0 ]\n"
    fastlb.ok("delete", "0")
    assert "there are none yet" in fastlb.cli("show", "0").stderr
