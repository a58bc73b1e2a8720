"""Where an app lives on disk: names, modes, owners, the lock, writes that are whole."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from fastlb.supervisor.errors import FastlbError, UsageError
from fastlb.supervisor.home.app_lock import AppLock, find_holder, is_running
from fastlb.supervisor.home.known_apps import list_apps
from fastlb.supervisor.home.paths import AppPaths, default_home, prepare_app_dir, prepare_home
from fastlb.supervisor.home.stored_config import load_config, save_config, write_atomically
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.app_name import check_app_name

CONFIG = AppConfig(target="server:app", name="shop", workers=3, env={"KEY": "secret"})


@pytest.fixture
def paths(tmp_path: Path) -> AppPaths:
    paths = AppPaths(tmp_path / "home", "shop")
    prepare_home(paths.home)
    prepare_app_dir(paths)
    return paths


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("name", ["a", "shop-2", "A.b_c", "_x", "9", "x" * 64])
def test_name_is_allowed(name: str) -> None:
    assert check_app_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "-x", "a/b", "../x", "a\n", "é", "x" * 65,"\0"])
def test_name_that_could_leave_its_directory_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        AppPaths(Path("/nowhere"), name)


def test_home_is_the_environments_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FASTLB_HOME", raising=False)
    assert default_home() == tmp_path / ".fastlb"
    monkeypatch.setenv("FASTLB_HOME", "relative")
    assert default_home() == Path.cwd() / "relative"
    monkeypatch.setenv("FASTLB_HOME", "~/here")
    assert default_home() == tmp_path / "here"


def test_home_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        prepare_home(tmp_path / "deep" / "home")
    finally:
        os.umask(umask)
    for directory in ("", "apps", "logs"):
        assert mode_of(tmp_path / "deep" / "home" / directory) == 0o700


def test_preparing_twice_changes_nothing(paths: AppPaths) -> None:
    prepare_home(paths.home)
    assert prepare_app_dir(paths) is False


def test_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(FastlbError, match=r"home.*Not a directory.*FASTLB_HOME"):
        prepare_home(tmp_path / "home")


def test_home_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(FastlbError, match="chmod go-w"):
        prepare_home(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_home_of_another_user_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    with pytest.raises(FastlbError, match="belongs to the user with uid 65534"):
        prepare_home(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_home_behind_another_users_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "home").symlink_to(tmp_path / "target")
    os.chown(tmp_path / "home", 65534, 65534, follow_symlinks=False)
    with pytest.raises(FastlbError, match="symbolic link that belongs to another user"):
        prepare_home(tmp_path / "home")
    assert list((tmp_path / "target").iterdir()) == []


def test_own_link_to_an_own_directory_is_a_home(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "home").symlink_to(tmp_path / "target")
    prepare_home(tmp_path / "home")
    assert (tmp_path / "target" / "apps").is_dir()


def test_home_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FastlbError, match="107 bytes"):
        prepare_app_dir(AppPaths(tmp_path / ("x" * 100), "shop"))


def test_lock_is_held_by_one(paths: AppPaths) -> None:
    lock = AppLock.acquire(paths)
    assert lock
    assert AppLock.acquire(paths) is None
    assert is_running(paths)
    lock.release()
    assert not is_running(paths)
    again = AppLock.acquire(paths)
    assert again
    again.release()


def test_holder_of_the_lock_is_known_while_it_is_held(paths: AppPaths) -> None:
    assert find_holder(paths) is None
    lock = AppLock.acquire(paths)
    assert lock
    holder = find_holder(paths)
    assert holder
    assert holder.pid == os.getpid()
    holder.close()
    lock.release()
    assert find_holder(paths) is None


@pytest.mark.parametrize("content", ["", "1", "1 2", "x y", "-1 0", "4194305 1", "1 2 3"])
def test_lock_that_says_nothing_true_names_nobody(paths: AppPaths, content: str) -> None:
    lock = AppLock.acquire(paths)
    assert lock
    paths.lock.write_text(content)
    assert find_holder(paths) is None
    lock.release()


def test_exactly_one_of_many_gets_the_lock(paths: AppPaths) -> None:
    barrier = threading.Barrier(16)
    locks: list[AppLock | None] = []

    def try_it() -> None:
        barrier.wait()
        locks.append(AppLock.acquire(paths))

    threads = [threading.Thread(target=try_it) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [lock for lock in locks if lock]
    assert len(locks) == 16
    assert len(held) == 1
    held[0].release()


def test_asking_never_makes_a_start_fail(paths: AppPaths) -> None:
    """A question must not take the lock, not even for a moment."""
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_running(paths)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(2000):
            lock = AppLock.acquire(paths)
            assert lock
            lock.release()
    finally:
        done.set()
        asking.join()


def test_lock_ends_with_its_process(paths: AppPaths) -> None:
    code = (
        "import sys, time; from pathlib import Path; from fastlb.supervisor.home.app_lock import *;"
        "lock = AppLock.acquire(AppPaths(Path(sys.argv[1]), 'shop')); print(bool(lock), flush=True);"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(paths.home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"True\n"
        assert is_running(paths)
        holder.kill()
        holder.wait()
        assert not is_running(paths)


def test_lock_outlives_a_delete_that_came_between(paths: AppPaths) -> None:
    first = AppLock.acquire(paths)
    assert first
    paths.remove()
    second = AppLock.acquire(paths) if prepare_app_dir(paths) else None
    assert second, "the new directory has a lock of its own"
    assert is_running(paths)
    first.release()
    assert is_running(paths)
    second.release()


def test_lock_that_is_a_link_is_not_followed(paths: AppPaths, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    paths.lock.symlink_to(tmp_path / "victim")
    with pytest.raises(FastlbError, match="symbolic links"):
        AppLock.acquire(paths)
    assert (tmp_path / "victim").read_text() == "untouched"


def test_apps_are_those_that_ran_or_run(paths: AppPaths) -> None:
    assert list_apps(paths.home) == [], "what a killed first start left is no app"
    lock = AppLock.acquire(paths)
    assert lock
    assert list_apps(paths.home) == ["shop"]
    save_config(paths, CONFIG)
    lock.release()
    (paths.home / "apps" / ".hidden").mkdir()
    (paths.home / "apps" / "file").write_text("")
    assert list_apps(paths.home) == ["shop"]
    paths.remove()
    assert list_apps(paths.home) == []


def test_no_home_has_no_apps(tmp_path: Path) -> None:
    assert list_apps(tmp_path / "none") == []
    assert not is_running(AppPaths(tmp_path / "none", "shop"))


def test_config_comes_back_as_it_was_saved(paths: AppPaths) -> None:
    save_config(paths, CONFIG)
    assert load_config(paths) == CONFIG
    assert mode_of(paths.config) == 0o600


def test_config_of_a_release_with_other_names_is_read(paths: AppPaths) -> None:
    config = msgspec.structs.replace(CONFIG, settle=7.5)
    save_config(paths, config)
    paths.config.write_bytes(paths.config.read_bytes().replace(b'"settle"', b'"reload_settle"'))
    assert load_config(paths) == config


def test_pause_of_a_release_that_knew_only_a_growing_one_goes_on_to_grow(paths: AppPaths) -> None:
    save_config(paths, CONFIG)
    stored = msgspec.json.decode(paths.config.read_bytes())
    del stored["exp_backoff_restart_delay"]
    paths.config.write_bytes(msgspec.json.encode(stored | {"restart_delay": 0.25}))
    loaded = load_config(paths)
    assert (loaded.exp_backoff_restart_delay, loaded.restart_delay) == (0.25, 0.0)


def test_fixed_pause_stays_a_fixed_one(paths: AppPaths) -> None:
    save_config(paths, msgspec.structs.replace(CONFIG, restart_delay=5.0))
    loaded = load_config(paths)
    assert (loaded.exp_backoff_restart_delay, loaded.restart_delay) == (0.1, 5.0)


@pytest.mark.parametrize("stored", [b"[]", b"7", b'{"name": "shop", "no_such_setting": 1}'])
def test_config_that_no_release_has_written_is_damaged(paths: AppPaths, stored: bytes) -> None:
    paths.config.write_bytes(stored)
    with pytest.raises(FastlbError, match="is damaged"):
        load_config(paths)


def test_damaged_config_is_a_clear_error_at_every_length(paths: AppPaths) -> None:
    save_config(paths, CONFIG)
    whole = paths.config.read_bytes()
    for length in range(len(whole)):
        paths.config.write_bytes(whole[:length])
        with pytest.raises(FastlbError, match="is damaged"):
            load_config(paths)


def test_missing_config_says_what_to_do(paths: AppPaths) -> None:
    with pytest.raises(FastlbError, match="start the app with its target"):
        load_config(paths)


def test_atomic_write_replaces_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_failed_atomic_write_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "child").write_text("")
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "file", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
