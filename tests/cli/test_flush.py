"""`fastlb flush` of apps that do not run."""

from pathlib import Path

from fastlb.supervisor.home.paths import AppPaths

from tests.support.fastlb_process import Fastlb


def rotated(path: Path) -> Path:
    return path.with_name(f"{path.stem}__2026-03-01_12-00-00.log.gz")


def test_present_files_are_emptied_and_rotated_ones_stay(fastlb: Fastlb, stopped: AppPaths) -> None:
    old = rotated(stopped.out_log)
    old.write_bytes(b"packed")
    other = stopped.logs_dir / "other-out.log"
    other.write_text("of another app\n")
    assert fastlb.ok("flush").stdout == "shop: 2 log files emptied\n"
    assert stopped.out_log.stat().st_size == stopped.error_log.stat().st_size == 0
    assert old.exists()
    assert other.read_text() == "of another app\n"


def test_rotated_ones_go_when_asked(fastlb: Fastlb, stopped: AppPaths) -> None:
    rotated(stopped.out_log).write_bytes(b"packed")
    assert fastlb.ok("flush", "shop", "--rotated").stdout == "shop: 2 log files emptied, 1 rotated removed\n"
    assert not rotated(stopped.out_log).exists()


def test_what_is_no_file_of_ours_is_refused_and_the_others_are_emptied(fastlb: Fastlb, stopped: AppPaths) -> None:
    target = stopped.home / "target"
    target.write_text("not to be touched\n")
    stopped.out_log.unlink()
    stopped.out_log.symlink_to(target)
    result = fastlb.cli("flush", "shop")
    assert result.returncode == 1
    assert f"cannot empty {stopped.out_log}" in result.stderr
    assert target.read_text() == "not to be touched\n"
    assert stopped.error_log.stat().st_size == 0
