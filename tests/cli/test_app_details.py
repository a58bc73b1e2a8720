"""What `show` prints into a pipe is read by scripts: one line about memory, one about cpu, whatever else is told."""

import msgspec
import pytest
from fastlb.cli.app_details import cpu_text, memory_text, print_details
from fastlb.cli.output import Output
from fastlb.supervisor.control.protocol import AppDetails, ExitEntry, WorkerEntry
from fastlb.supervisor.kinds import traits_of
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.declared import check_config, hide_secrets


def worker(number: int, rss_bytes: int, cpu_percent: float) -> WorkerEntry:
    return WorkerEntry(
        id=number,
        pid=number + 10,
        status="online",
        uptime_s=1.0,
        restarts=0,
        connections=0,
        requests=0,
        rss_bytes=rss_bytes,
        cpu_percent=cpu_percent,
    )


WORKERS = [worker(0, 312 << 20, 90.0), worker(1, 100 << 20, 10.0)]
STOPPED = msgspec.structs.replace(worker(1, 0, 0.0), pid=None, status="stopped")


@pytest.mark.parametrize(
    ("workers", "memory", "cpu"),
    [
        (WORKERS[:1], "312M of 1536M", "90%"),
        (WORKERS, "312M of 1536M in the largest of 2 workers, 412M in all", "50% on average of 2 workers, 100% in all"),
        ([], "0M of 1536M", "0%"),
        ([WORKERS[0], STOPPED], "312M of 1536M", "90%"),
    ],
)
def test_figures_are_of_one_worker(workers: list[WorkerEntry], memory: str, cpu: str) -> None:
    assert (memory_text(workers, 1536 << 20), cpu_text(workers)) == (memory, cpu)


def test_no_other_line_has_the_words_that_scripts_look_for(capsys: pytest.CaptureFixture[str]) -> None:
    config = AppConfig(target="server:app", name="shop", max_memory_restart=1536 << 20, pin_cpus=True)
    check_config(config, traits_of(config))
    details = AppDetails(
        name="shop",
        status="online",
        pid=1,
        uptime_s=1.0,
        restarts=2,
        binds=["127.0.0.1:8000"],
        balance="round-robin",
        workers=WORKERS,
        settings=hide_secrets(config),
        dispatcher={},
        files={},
        last_error="worker 1: out of memory",
        last_exits=[ExitEntry(1, 11, "2026-01-31T13:59:59Z", "out of memory", ["heap out of memory, cpu 9"])],
        memory={"cgroup": "/", "cgroup_limit": "1G"},
    )
    print_details(details, "default", Output.for_results())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines if "memory" in line] == [["memory", "312M", "of", "1536M"]]
    assert [line.split()[:2] for line in lines if "cpu" in line] == [["cpu", "50%"]]
    assert "pin_cpus on" in next(line for line in lines if line.startswith("cpu"))
    assert [line.split() for line in lines if line.startswith("restarts")] == [["restarts", "2"]]
