"""`--watch` alone, or with a path behind it."""

import click
import pytest
from fastlb.cli.commands.run import command as run
from fastlb.cli.commands.start import command as start
from fastlb.supervisor.errors import UsageError


@pytest.mark.parametrize("command", [start, run])
@pytest.mark.parametrize(
    ("line", "target", "watch"),
    [
        ("--watch server:app", "server:app", ["true"]),
        ("server:app --watch", "server:app", ["true"]),
        ("--watch -w 2 server:app", "server:app", ["true"]),
        ("--watch src server:app", "server:app", ["src"]),
        ("server:app --watch src", "server:app", ["src"]),
        ("server:app --watch=src", "server:app", ["src"]),
        ("--watch src --watch a.yaml server:app -n x", "server:app", ["src", "a.yaml"]),
        ("--watch server:app -- --watch other", "server:app", ["true"]),
        ("server:app --env-file --watch", "server:app", []),
        ("-n shop --watch server:app --cron 0", "server:app", ["true"]),
    ],
)
def test_path_is_one_word_more_than_the_command_takes(
    command: click.Command, line: str, target: str, watch: list[str]
) -> None:
    context = command.make_context("start", line.split())
    assert (context.params["target"], list(context.params["watch"])) == (target, watch)


def test_what_is_no_option_is_told_as_ever() -> None:
    with pytest.raises(UsageError, match="no option --nonsense"):
        start.make_context("start", ["--watch", "server:app", "--nonsense"])
