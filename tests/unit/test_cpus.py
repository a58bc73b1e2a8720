"""`--workers max`: quotas of cgroups, both versions, in files as the kernel writes them."""

from pathlib import Path

import pytest
from fastlb.supervisor.settings.cpus import cgroup_quota, usable_cpus
from fastlb.supervisor.settings.most_workers import cgroup_memory_limit, workers_for


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


@pytest.mark.parametrize(
    ("self_cgroup", "files", "cpus"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2.0),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 2.0),
        ("0::/elsewhere\n", {"cpu.max": "300000 100000\n"}, 3.0),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "100000 0\n"}, None),
        ("0::/\n", {"cpu.max": "rubbish\n"}, None),
        (
            "4:cpu,cpuacct:/c\n0::/\n",
            {"cpu,cpuacct/c/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/c/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        ("1:cpu:/c\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("3:cpuset:/x\n", {"cpuset/cpu.cfs_quota_us": "1\n"}, None),
    ],
)
def test_smallest_quota_on_the_way_to_the_root_counts(
    tmp_path: Path, self_cgroup: str, files: dict[str, str], cpus: float | None
) -> None:
    write(tmp_path, {"self": self_cgroup} | {f"mount/{name}": content for name, content in files.items()})
    assert cgroup_quota(tmp_path / "self", tmp_path / "mount") == cpus


def test_without_cgroups_there_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path / "nothing", tmp_path / "nowhere") is None


def test_there_is_a_cpu_here() -> None:
    assert usable_cpus() >= 1


@pytest.mark.parametrize(
    ("self_cgroup", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "536870912\n"}, 512 << 20),
        ("0::/a/b\n", {"a/memory.max": "268435456\n", "a/b/memory.max": "max\n"}, 256 << 20),
        ("0::/elsewhere\n", {"memory.max": "1073741824\n"}, 1 << 30),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {}, None),
        ("4:memory:/c\n0::/\n", {"memory/c/memory.limit_in_bytes": "134217728\n"}, 128 << 20),
        ("4:memory:/c\n", {"memory/c/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ("4:memory:/host/c\n", {"memory/memory.limit_in_bytes": "134217728\n"}, 128 << 20),
    ],
)
def test_smallest_memory_limit_counts(
    tmp_path: Path, self_cgroup: str, files: dict[str, str], limit: int | None
) -> None:
    write(tmp_path, {"self": self_cgroup} | {f"mount/{name}": content for name, content in files.items()})
    assert cgroup_memory_limit(tmp_path / "self", tmp_path / "mount") == limit


@pytest.mark.parametrize(
    ("cpus", "memory", "workers"),
    [(8, None, 8), (8, 512 << 20, 4), (2, 8 << 30, 2), (4, 64 << 20, 1), (4, 130 << 20, 1)],
)
def test_each_worker_has_a_cpu_and_memory(cpus: int, memory: int | None, workers: int) -> None:
    assert workers_for(cpus, memory) == workers
