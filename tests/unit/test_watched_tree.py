"""What the kernel says of a tree of files, and which of it counts: real directories, no process."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastlb.supervisor.home.paths import AppPaths
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.watch_words import check_pattern
from fastlb.supervisor.watch import tree as watched_tree
from fastlb.supervisor.watch.file_watch import names_of
from fastlb.supervisor.watch.inotify import Inotify, limit_advice
from fastlb.supervisor.watch.rules import WatchRules
from fastlb.supervisor.watch.tree import WatchedTree

from tests.support.waiting import wait_until


class Bench:
    """A working directory with an app in it, and what was watched of it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.inotify = Inotify()
        self.tree: WatchedTree | None = None

    def watch(self, *watch: str, cwd: Path | None = None, **settings: Any) -> "Bench":
        """Begin to watch, as settings say."""
        config = AppConfig(target="a:b", name="a", cwd=str(cwd or self.top), watch=watch or ("true",), **settings)
        self.tree = WatchedTree(self.inotify, WatchRules.of(config, AppPaths(self.top / "home", "a")))
        return self

    def changed(self) -> set[str]:
        """Return what has changed since, as paths from the top: the kernel knows at once."""
        assert self.tree is not None
        found: set[str] = set()
        while changed := self.tree.read():
            found |= changed
        return {str(Path(path).relative_to(self.top)) for path in found}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    for directory in ("lib/deep", "node_modules/x", ".git", "venv", "mine/bin", "home/logs", "logs"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "mine/pyvenv.cfg").touch()
    (tmp_path / "app.py").write_text("1")
    made = Bench(tmp_path)
    yield made
    made.inotify.close()


@pytest.mark.parametrize("path", ["app.py", "lib/deep/page.html", "new.py", "Makefile"])
def test_files_below_the_directory_count(bench: Bench, path: str) -> None:
    bench.watch()
    (bench.top / path).write_text("2")
    assert bench.changed() == {path}


@pytest.mark.parametrize(
    "path",
    [
        *("node_modules/x/a.js", ".git/index", ".env", "venv/a.py", "mine/bin/a.py", "logs/a.txt", "home/logs/a.log"),
        *("a.pyc", "app.log", "app.log.1", "data.db", "data.sqlite3", "data.db-journal", "a~", ".a.swp", "4913"),
    ],
)
def test_files_that_nobody_saves_do_not_count(bench: Bench, path: str) -> None:
    bench.watch()
    (bench.top / path).write_text("2")
    assert bench.changed() == set()


def test_ignored_directories_are_not_even_watched(bench: Bench) -> None:
    bench.watch()
    assert bench.tree is not None
    assert bench.tree.directories == len(["", "lib", "lib/deep"])


def test_an_empty_list_ignores_nothing_but_our_own_home(bench: Bench) -> None:
    bench.watch(ignore_watch=())
    paths = ["node_modules/x/a.js", ".git/index", ".env", "mine/bin/a.py", "logs/a.txt", "app.log"]
    for path in (*paths, "home/logs/a.log"):
        (bench.top / path).write_text("2")
    assert bench.changed() == set(paths)


@pytest.mark.parametrize(
    ("pattern", "is_ignored"),
    [
        *[("lib", True), ("lib/", True), ("./lib/deep", True), ("deep", True), ("*.html", True), ("lib/*.html", False)],
        *[("lib/**", True), ("**/*.html", True), ("lib/**/page.*", True), ("li", False), ("/lib", False)],
        *[("page\\.html", True), ("[op]age.html", True), ("[!p]age.html", False), ("default", False)],
    ],
)
def test_patterns(bench: Bench, pattern: str, is_ignored: bool) -> None:
    bench.watch(ignore_watch=(pattern,))
    (bench.top / "lib/deep/page.html").write_text("2")
    assert bool(bench.changed()) is not is_ignored


def test_files_that_are_included_count_alone_and_a_hidden_one_by_its_name(bench: Bench) -> None:
    bench.watch(watch_include=("*.py", ".env"))
    for path in ("app.py", ".env", "lib/page.html", ".hidden.py", "venv/a.py"):
        (bench.top / path).write_text("2")
    assert bench.changed() == {"app.py", ".env"}


def test_paths_with_and_without_stars(bench: Bench) -> None:
    bench.watch("app.py", "lib/**/*.js", "logs")
    for path in ("app.py", "other.py", "lib/deep/a.js", "lib/deep/a.html", "logs/report.txt"):
        (bench.top / path).write_text("2")
    assert bench.changed() == {"app.py", "lib/deep/a.js", "logs/report.txt"}


def test_half_a_file_is_no_change(bench: Bench) -> None:
    bench.watch()
    with open(bench.top / "app.py", "w") as file:
        file.write("half")
        file.flush()
        assert bench.changed() == set()
    assert bench.changed() == {"app.py"}


def test_every_way_to_replace_and_remove_a_file(bench: Bench) -> None:
    bench.watch()
    (bench.top / ".saved").write_text("2")
    os.replace(bench.top / ".saved", bench.top / "app.py")
    assert bench.changed() == {"app.py"}
    os.link(bench.top / "app.py", bench.top / "linked.py")
    os.symlink("app.py", bench.top / "symbolic.py")
    assert bench.changed() == {"linked.py", "symbolic.py"}
    os.unlink(bench.top / "linked.py")
    os.rename(bench.top / "app.py", bench.top / "lib/app.py")
    assert bench.changed() == {"linked.py", "app.py", "lib/app.py"}


def test_directories_that_come_move_and_go(bench: Bench) -> None:
    bench.watch()
    (bench.top / "new/below").mkdir(parents=True)
    (bench.top / "new/below/a.py").write_text("1")
    assert bench.changed() == {"new/below/a.py"}
    os.rename(bench.top / "new", bench.top / "moved")
    assert bench.changed() == {"new", "moved/below/a.py"}
    (bench.top / "moved/below/a.py").write_text("2")
    assert bench.changed() == {"moved/below/a.py"}
    shutil.rmtree(bench.top / "moved")
    assert bench.changed() == {"moved/below/a.py"}
    assert bench.tree is not None
    assert bench.tree.directories == len(["", "lib", "lib/deep"])


def test_file_alone_is_watched_through_replacements_and_absence(bench: Bench) -> None:
    bench.watch("app.py", "to_come.py")
    assert bench.tree is not None
    assert "there is no" in bench.tree.problem
    (bench.top / "app.py").unlink()
    assert bench.changed() == {"app.py"}
    (bench.top / "app.py").write_text("3")
    (bench.top / "to_come.py").write_text("3")
    assert bench.changed() == {"app.py", "to_come.py"}


def test_release_that_a_link_leads_to(bench: Bench) -> None:
    for release in ("1", "2"):
        (bench.top / f"releases/{release}/src").mkdir(parents=True)
    os.symlink("releases/1", bench.top / "current")
    bench.watch(cwd=bench.top / "current")
    os.symlink("releases/2", bench.top / "next")
    os.replace(bench.top / "next", bench.top / "current")
    assert bench.changed() == {"current"}
    (bench.top / "releases/2/src/a.py").write_text("1")
    assert bench.changed() == {"current/src/a.py"}
    shutil.rmtree(bench.top / "releases/1")
    assert bench.changed() == set(), "nobody looks at the old release"


def test_directory_that_is_removed_and_made_again(bench: Bench) -> None:
    (bench.top / "src").mkdir()
    bench.watch("src")
    shutil.rmtree(bench.top / "src")
    assert bench.changed() == {"src"}
    (bench.top / "src").mkdir()
    assert bench.changed() == {"src"}
    (bench.top / "src/a.py").write_text("1")
    assert bench.changed() == {"src/a.py"}


def test_links_in_a_circle_are_followed_once(bench: Bench) -> None:
    os.symlink("..", bench.top / "lib/deep/up")
    bench.watch()
    (bench.top / "lib/a.py").write_text("1")
    assert len(bench.changed()) == 1


def test_more_than_the_kernel_keeps_may_be_everything(bench: Bench) -> None:
    bench.watch()
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    path = bench.top / "app.py"
    other = bench.top / "b.py"
    for _ in range(most // 2 + 10):
        os.close(os.open(path, os.O_WRONLY))
        os.close(os.open(other, os.O_WRONLY | os.O_CREAT))
    assert wait_until(lambda: "." in bench.changed(), "the tree is looked at again")


def test_more_directories_than_are_watched_are_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_tree, "MOST_DIRECTORIES", 2)
    bench.watch()
    assert bench.tree is not None
    assert "more than 2 directories" in bench.tree.problem


@pytest.mark.parametrize("pattern", ["", "/", "./", "[z-a]"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of files"):
        check_pattern(pattern)


def test_limits_of_the_kernel_are_told_with_what_to_do() -> None:
    for code, name in ((errno.ENOSPC, "max_user_watches"), (errno.EMFILE, "max_user_instances")):
        advice = limit_advice(OSError(code, "no more"))
        limit = int(Path(f"/proc/sys/fs/inotify/{name}").read_text())
        assert f"a user watch {limit}" in advice
        assert f"sysctl fs.inotify.{name}={2 * limit}" in advice
    assert limit_advice(OSError(errno.EACCES, "no")) == ""


def test_names_are_few_and_can_be_written() -> None:
    paths = {f"/srv/shop/{number}.py" for number in range(7)} | {os.fsdecode(b"/srv/shop/\xff")}
    assert names_of(paths, "/srv/shop") == "0.py, 1.py, 2.py, 3.py, 4.py and 3 more"
    assert names_of([os.fsdecode(b"/srv/shop/\xff")], "/srv/shop/") == r"\udcff"
