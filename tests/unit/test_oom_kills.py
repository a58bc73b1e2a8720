"""Which deaths the kernel's count of OOM kills explains, and where that and the limits of memory stand."""

from pathlib import Path

import pytest
from fastlb.supervisor.processes.cgroup import V1, V2, MemoryCgroup, memory_cgroups, read_figure
from fastlb.supervisor.processes.oom_kills import CLAIM_SECONDS, OomKills
from fastlb.supervisor.workers.last_exits import MOST_BYTES, MOST_LINES, MOST_WORKERS, LastExits, last_lines

MIB = 1 << 20


def write_files(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


def cgroup_v2(
    directory: Path, *, limit: str = "max", usage: int = 0, inactive: int = 0, kills: int = 0
) -> MemoryCgroup:
    files = {
        "memory.max": f"{limit}\n",
        "memory.current": f"{usage}\n",
        "memory.stat": f"anon 7\ninactive_file {inactive}\nactive_file 9\n",
        "memory.events": f"low 0\noom 8\noom_kill {kills}\noom_group_kill 6\n",
    }
    return MemoryCgroup(write_files(directory, files), V2)


def process_in(directory: Path, cgroup: str, mountinfo: str) -> Path:
    return write_files(directory / "proc", {"cgroup": cgroup, "mountinfo": mountinfo})


def test_figures_of_version_2(tmp_path: Path) -> None:
    cgroup = cgroup_v2(tmp_path, limit=str(512 * MIB), usage=100, inactive=40, kills=3)
    assert cgroup.limit_bytes == 512 * MIB
    assert (cgroup.usage_bytes, cgroup.working_set_bytes, cgroup.oom_kills) == (100, 60, 3)
    assert cgroup_v2(tmp_path).limit_bytes == 0


def test_figures_of_version_1(tmp_path: Path) -> None:
    files = {
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.usage_in_bytes": "100\n",
        "memory.stat": "inactive_file 1\ntotal_inactive_file 40\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    }
    cgroup = MemoryCgroup(write_files(tmp_path, files), V1)
    assert (cgroup.limit_bytes, cgroup.usage_bytes, cgroup.working_set_bytes, cgroup.oom_kills) == (0, 100, 60, 2)


def test_cgroup_that_is_gone_says_nothing(tmp_path: Path) -> None:
    cgroup = MemoryCgroup(tmp_path / "none", V2)
    assert (cgroup.limit_bytes, cgroup.usage_bytes, cgroup.working_set_bytes, cgroup.oom_kills) == (0, 0, 0, 0)
    assert read_figure(b"oom_kill many\noom_kill\n", b"oom_kill") == 0


def test_own_cgroup_is_first_and_those_above_it_follow(tmp_path: Path) -> None:
    top = tmp_path / "sys"
    cgroup_v2(top / "a" / "b")
    cgroup_v2(top / "a")
    write_files(top, {})  # the root has no such files
    mount = f"30 20 0:26 / {top} rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    found = memory_cgroups(process_in(tmp_path, "0::/a/b\n", mount))
    assert [cgroup.directory for cgroup in found] == [top / "a" / "b", top / "a"]
    assert {cgroup.names for cgroup in found} == {V2}


@pytest.mark.parametrize(("path", "root"), [("/docker/12", "/docker/12"), ("/", "/"), ("/elsewhere", "/docker/12")])
def test_container_sees_its_own_cgroup_at_the_mount(tmp_path: Path, path: str, root: str) -> None:
    top = tmp_path / "sys" / "memory"
    write_files(top, {"memory.usage_in_bytes": "1"})
    mounts = (
        f"31 20 0:27 {root} {tmp_path} rw - cgroup cgroup rw,cpu,cpuacct\n"
        f"32 20 0:28 {root} {top} rw - cgroup cgroup rw,memory\n"
    )
    found = memory_cgroups(process_in(tmp_path, f"5:cpu,cpuacct:/x\n4:memory:{path}\n0::/\n", mounts))
    assert [(cgroup.directory, cgroup.names) for cgroup in found] == [(top, V1)]


def test_without_a_cgroup_of_memory_there_is_none(tmp_path: Path) -> None:
    assert memory_cgroups(tmp_path / "none") == []
    mount = f"30 20 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw\n"
    assert memory_cgroups(process_in(tmp_path, "1:cpu:/\n0::/\n", mount)) == []


def test_each_kill_explains_one_death(tmp_path: Path) -> None:
    cgroup = cgroup_v2(tmp_path, limit=str(64 * MIB), kills=5)
    kills = OomKills([cgroup], now=0.0)
    assert kills.claim(1.0) == "not by fastlb"
    cgroup_v2(tmp_path, limit=str(64 * MIB), kills=7)
    assert kills.look(2.0) == 2
    assert kills.claim(3.0) == "out of memory, of which its cgroup may use 64M"
    assert kills.claim(3.0) == "out of memory, of which its cgroup may use 64M"
    assert kills.claim(3.0) == "not by fastlb"


def test_kill_of_long_ago_explains_nothing(tmp_path: Path) -> None:
    kills = OomKills([cgroup_v2(tmp_path)], now=0.0)
    cgroup_v2(tmp_path, kills=1)
    assert kills.look(1.0) == 1
    assert kills.look(2.0) == 0
    assert kills.claim(2.0 + CLAIM_SECONDS) == "not by fastlb"


def test_last_lines_are_bounded_and_safe() -> None:
    assert last_lines("a\nb\x1b[2J\n") == ["a", r"b\x1b[2J"]
    assert last_lines("") == []
    assert last_lines("".join(f"{at}\n" for at in range(100))) == [str(at) for at in range(100 - MOST_LINES, 100)]
    long = last_lines("first\n" + "é" * 5000)
    assert len("".join(long).encode()) <= MOST_BYTES
    assert set("".join(long)) == {"é"}


def test_last_exits_are_those_of_a_bounded_number_of_workers() -> None:
    exits = LastExits()
    for worker_id in (*range(MOST_WORKERS + 4), 10):
        exits.note(worker_id, 1, "exited with code 1", "why\n")
    assert [entry.worker_id for entry in exits.entries][-1] == 10
    assert len(exits.entries) == MOST_WORKERS
    assert exits.entries[0].worker_id == 4
