"""What the words mean by which commands are told whom to do something to."""

import json

import pytest
from fastlb.cli.targets import Target
from fastlb.cli.worker_operations import shown_targets
from fastlb.supervisor.home.paths import AppPaths, prepare_app_dir, prepare_home
from fastlb.supervisor.home.stored_config import save_config
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.fastlb_process import Fastlb


@pytest.fixture
def three_apps(fastlb: Fastlb) -> None:
    """Stopped apps: api-1 with two workers (0, 1), api-2 (2), and 7, whose name is a number (3)."""
    prepare_home(fastlb.home)
    for name, workers in (("api-1", 2), ("api-2", 1), ("7", 1)):
        paths = AppPaths(fastlb.home, name)
        prepare_app_dir(paths)
        save_config(paths, AppConfig(target="asgi_probe:app", name=name, workers=workers))
        fastlb.ok("list")


def stopped_by(fastlb: Fastlb, *words: str) -> set[str]:
    return {line.partition(":")[0] for line in fastlb.ok("stop", *words).stdout.splitlines()}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["api-1"], {"api-1"}),
        (["0", "1"], {"api-1"}),
        (["2"], {"api-2"}),
        (["7"], {"7"}),
        (["all"], {"api-1", "api-2", "7"}),
        (["default"], {"api-1", "api-2", "7"}),
        (["/^api/"], {"api-1", "api-2"}),
        (["/-2$/", "2", "api-1"], {"api-1", "api-2"}),
    ],
)
def test_word_means_apps(fastlb: Fastlb, three_apps: None, words: list[str], names: set[str]) -> None:
    assert stopped_by(fastlb, *words) == names


@pytest.mark.parametrize(
    ("word", "message", "code"),
    [
        ("api-3", "there is no app 'api-3'; did you mean api-1?", 1),
        ("99", "there is no worker 99: 7 has 3; api-1 has 0, 1; api-2 has 2", 1),
        ("/web/", "/web/ matches no app: there are 7, api-1, api-2", 1),
        ("/(/", "/(/ is no pattern: missing ), unterminated subpattern at position 0", 2),
    ],
)
def test_word_that_means_nobody(fastlb: Fastlb, three_apps: None, word: str, message: str, code: int) -> None:
    result = fastlb.cli("stop", word)
    assert (result.stderr, result.returncode) == (f"error: {message}\n", code)


def test_what_is_for_one_app_names_the_others(fastlb: Fastlb, three_apps: None) -> None:
    assert fastlb.cli("show", "/api/").stderr == "error: /api/ means 2 apps, and this is for one: api-1, api-2\n"


def test_number_of_the_only_worker_that_is_left_means_the_app(fastlb: Fastlb, three_apps: None) -> None:
    save_config(AppPaths(fastlb.home, "api-1"), AppConfig(target="asgi_probe:app", name="api-1", workers=1))
    assert stopped_by(fastlb, "0") == {"api-1"}


def test_numbers_of_an_app(fastlb: Fastlb, three_apps: None) -> None:
    assert fastlb.ok("id", "api-1").stdout == "[ 0, 1 ]\n"
    assert [entry["pm_ids"] for entry in json.loads(fastlb.ok("list", "--json").stdout)] == [[3], [0, 1], [2]]


def test_numbers_stay_through_restarts_and_are_in_every_view(fastlb: Fastlb) -> None:
    shop = fastlb.start("asgi_probe:app", "--workers", "2", "--env", "TOKEN=canary-7", name="shop")
    fastlb.start("asgi_probe:app", name="blog")
    rows = [line.split()[:5] for line in fastlb.ok("list").stdout.splitlines()[1:]]
    assert rows == [[str(at), name, "cluster", "0", "online"] for at, name in enumerate(["shop", "shop", "blog"])]
    shop.ok("reload")
    shop.ok("stop")
    fastlb.ok("start", "shop", "--settle", "0.1")
    objects = json.loads(fastlb.ok("jlist").stdout)
    assert [(found["pm_id"], found["name"]) for found in objects] == [(0, "shop"), (1, "shop"), (2, "blog")]
    assert "canary-7" not in fastlb.ok("prettylist").stdout
    first, second = shop.worker_pids
    assert [found["pid"] for found in objects[:2]] == [first, second]
    assert fastlb.ok("pid", "1").stdout == f"{second}\n"
    assert "TOKEN: canary-7\n" in fastlb.ok("env", "1").stdout
    assert fastlb.ok("show", "1").stdout.count("\ncpu  ") == 1
    assert objects[0]["monit"]["memory"] > 1 << 20
    environment = objects[1]["pm2_env"]
    expected = {"status": "online", "exec_mode": "cluster_mode", "instances": 2, "NODE_APP_INSTANCE": 1}
    assert environment | expected == environment
    assert environment["pm_uptime"] > 1_600_000_000_000


def test_display_names_the_workers_that_alone_are_meant() -> None:
    targets = [Target("blog"), Target("shop", (3,)), Target("api", (0, 2))]
    assert shown_targets(targets) == "blog, worker 3 of shop, workers 0, 2 of api"
