"""What fastlb.client does with real apps is what the command does: the same answers, the same failures."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fastlb.client import AsyncClient, AsyncStream, Client, FastlbError, LogLine

from tests.support.fastlb_process import APPS, CliResult, Fastlb
from tests.support.waiting import scaled, wait_until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def client(fastlb: Fastlb) -> Client:
    """A client of the home of the test, whose apps carry its mark."""
    return Client(fastlb.home)


def start(fastlb: Fastlb, client: Client, *options: str) -> None:
    """Start an app of two workers by the client."""
    usual = ("--name", "app", "--bind", "127.0.0.1:0", "--settle", "0.1", "-w", "2")
    [answer] = client.start("asgi_probe:app", *usual, *options, cwd=APPS, env=fastlb.env)
    assert (answer.app, answer.ok) == ("app", True)


def test_life_of_an_app(fastlb: Fastlb, client: Client) -> None:
    start(fastlb, client)
    [app] = client.list()
    assert Client(fastlb.home.parent / "other").list() == []
    assert (app.name, app.status, [worker.pm_id for worker in app.workers]) == ("app", "online", [0, 1])
    assert client.show("app").settings["workers"] == 2
    operation = client.reload("app")
    assert [step.workers for step in operation][-1] == 2
    assert operation.text
    assert client.scale("app", 3).wait()
    assert len(client.metrics("app").figures) == 3
    assert client.stop("app") == "stopped"
    assert client.list("app")[0].status == "stopped"
    client.delete("app")
    assert client.list() == []


def test_failure_is_what_the_command_says(fastlb: Fastlb, client: Client, release: Callable[[str], None]) -> None:
    def told(*command: str) -> tuple[str, int]:
        result: CliResult = fastlb.cli(*command)
        return result.stderr.partition("error: ")[2].partition("\n")[0], result.returncode

    def raised(do: Callable[[], object]) -> tuple[str, int]:
        with pytest.raises(FastlbError) as caught:
            do()
        return caught.value.message, caught.value.exit_code

    fastlb.start("release:app")
    assert raised(lambda: client.start("nothing:app", cwd=APPS, env=fastlb.env)) == told("start", "nothing:app")
    assert raised(lambda: client.scale("app", "many")) == told("scale", "app", "many")
    assert raised(lambda: client.trigger("app", "stakcs")) == told("trigger", "app", "stakcs")
    release("dies_at_import")
    fastlb.allow_in_logs("Traceback")
    with pytest.raises(FastlbError, match="nothing was changed") as failed:
        client.reload("app").wait()
    assert "Traceback" in failed.value.details
    client.stop("app")
    assert raised(lambda: client.scale("app", 2)) == told("scale", "app", "2")
    assert raised(lambda: client.metrics("app"))[0] == "app is stopped: nothing is counted"


def test_lines_events_and_answers_are_read_one_by_one(fastlb: Fastlb, client: Client) -> None:
    app = fastlb.start("asgi_probe:app")
    app.get("/print?before")
    wait_until(lambda: "before" in app.log("out"), "the first line is in the log")
    with client.logs("app", lines=1, follow=True, streams=("out",)) as lines:
        assert next(lines).message == "before"
        app.get("/print?after")
        line = next(lines)
        assert (line.message, line.stream, line.worker) == ("after", "out", 0)
    wait_until(lambda: "after" in app.log("out"), "the second line is in the log")
    assert [line.message for line in client.logs("app", streams=("out",))] == ["before", "after"]
    with client.events("app", lines=0, follow=True) as events:
        client.scale("app", 2).wait()
        assert "scale_begun" in (event.event for event in events)
    [known] = client.trigger("app", "stacks", worker=0)
    assert known.ok
    assert "MainThread" in known.text


def test_stream_that_is_closed_ends_for_whoever_waits(fastlb: Fastlb, client: Client) -> None:
    fastlb.start("asgi_probe:app")
    for stream in (client.logs("app", lines=0, follow=True), client.events("app", lines=0, follow=True)):
        left: list[object] = []
        reader = threading.Thread(target=lambda: left.extend(stream), daemon=True)  # noqa: B023 - it ends in this turn
        reader.start()
        stream.close()
        reader.join(scaled(10))
        assert not reader.is_alive()


def test_asyncio_has_the_same(fastlb: Fastlb) -> None:
    fastlb.start("asgi_probe:app")

    async def scenario() -> None:
        client = AsyncClient(fastlb.home)
        assert [app.name for app in await client.list()] == ["app"]
        operation = await client.reload("app")
        assert [step async for step in operation]
        assert await operation.wait()
        async with await client.events("app", lines=1) as events:
            assert [event.app async for event in events] == ["app"]
        lines = await client.logs("app", lines=0, follow=True)
        waiting = asyncio.create_task(first(lines))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(FastlbError):
            await client.scale("shop", 2)
        assert await client.stop("app") == "stopped"

    asyncio.run(scenario())


async def first(lines: AsyncStream[LogLine]) -> LogLine:
    return await anext(lines)


def run_example(fastlb: Fastlb, name: str, *arguments: str) -> CliResult:
    return fastlb.run_program(sys.executable, str(EXAMPLES / name), *arguments)


def test_example_that_deploys(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "fastlb.toml").write_text(
        f'[apps.shop]\ntarget = "asgi_probe:app"\ncwd = "{APPS}"\nbind = "127.0.0.1:0"\nworkers = 2\nsettle = 0.1\n'
    )
    said = run_example(fastlb, "deploy.py", str(tmp_path / "fastlb.toml")).stdout.splitlines()
    assert all(line.startswith("shop: ") for line in said)
    assert fastlb.app("shop").entry()["workers"][0]["generation"] == 2


def test_example_that_watches(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    app.get("/sleep?1.1")
    wait_until(lambda: app.entry()["workers"][0]["p99_ms"], "the request has ended")
    command = [sys.executable, str(EXAMPLES / "monitor.py"), "600"]
    with fastlb.popen_program(*command) as monitor:
        assert monitor.stdout
        assert monitor.stdout.readline().startswith("app, worker 0: p99_ms is ")
        monitor.terminate()


def test_example_of_a_fixture(fastlb: Fastlb) -> None:
    fastlb.env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(EXAMPLES)]
    said = fastlb.run_program(sys.executable, "-m", "pytest", *options, str(EXAMPLES / "test_hello.py")).stdout
    assert "1 passed" in said
