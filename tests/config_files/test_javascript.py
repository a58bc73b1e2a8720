"""A file that is JavaScript is evaluated apart from us: only data comes back, in time and in measure."""

import os
import signal
from pathlib import Path

import pytest
from fastlb.cli.config_files.formats.errors import NotReadable
from fastlb.cli.config_files.formats.evaluator import Evaluator, probably_needs_node
from fastlb.cli.config_files.formats.javascript import read_javascript
from fastlb.supervisor.errors import UsageError

FILE = "x.config.js"


def evaluate(directory: Path, text: str, seconds: float = 60.0) -> object:
    (directory / FILE).write_text(text)
    return read_javascript(text, str(directory / FILE), FILE, seconds=seconds)[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("module.exports = {apps: [{script() {}}]}", "apps[0].script is a function, which is no data"),
        ("module.exports = () => ({})", "what the file exports is a function"),
        ("const a = {}; a.b = [a]; module.exports = {a}", "a.b[0] contains itself"),
        ("module.exports = {a: new Map()}", "a is a Map, which is no data"),
        ("module.exports = {a: 1n}", "a is a bigint"),
        ("module.exports = {a: 0 / 0}", "a is NaN, which is no number"),
        ("module.exports = 'x'.repeat(2 << 20)", "it exports more than 1 MiB"),
        ("process.exit(0)", "it has ended node before it had exported anything"),
    ],
)
def test_what_is_no_data(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(tmp_path, text)
    assert caught.value.message.startswith(f"{FILE}: {message}")


def test_a_failure_shows_what_node_says(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(tmp_path, "\nthrow new Error('no such thing')")
    assert caught.value.message == f"{FILE}:2:7: Error: no such thing"
    assert caught.value.details == ""


THROWN = [
    ("module.exports = {,}", f"{FILE}:1:19: SyntaxError: Unexpected token ','", "module.exports = {,}\n{18 spaces}^"),
    ("const x =\nrequire('./nope')", f"{FILE}:2:1: Error: Cannot find module './nope'", ""),
    ("throw new Error('first\\nsecond')", f"{FILE}:1:7: Error: first\nsecond", ""),
    ("const f = () => null.x; f()", f"{FILE}:1:22: TypeError: Cannot read properties of null (reading 'x')", ""),
    ("JSON.parse('{')", f"{FILE}:1:6: SyntaxError: ", ""),
    ("require('./other.js')", "DIRECTORY/other.js:1:7: Error: elsewhere", ""),
    ("throw 'a word'", f"{FILE}: a word", ""),
    ("throw ''", f"{FILE}: it threw an empty text", ""),
    ("throw Object.assign(new Error('e'), {stack: 7})", f"{FILE}: 7", ""),
]


@pytest.mark.parametrize(("text", "message", "code"), THROWN)
def test_an_error_has_its_place_and_words(tmp_path: Path, text: str, message: str, code: str) -> None:
    (tmp_path / "other.js").write_text("throw new Error('elsewhere')")
    with pytest.raises(NotReadable) as caught:
        evaluate(tmp_path, text)
    assert caught.value.message.startswith(message.replace("DIRECTORY", str(tmp_path)))
    assert caught.value.details == code.replace("{18 spaces}", " " * 18)
    assert "    at " not in caught.value.message


def test_what_never_ends_is_ended(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"node has not done with it in 0\.5 s"):
        evaluate(tmp_path, "while (true) {}", seconds=0.5)


def test_a_timer_does_not_keep_it(tmp_path: Path) -> None:
    assert evaluate(tmp_path, "setInterval(() => {}, 1000); module.exports = {a: [1, undefined, /x/g]}") == {
        "a": [1, None, "/x/g"]
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("check ecosystem.config.js", True),
        ("check settings.js", True),
        ("start ecosystem.production.js --env production", True),
        ("startOrReload x.config.mjs", True),
        ("--no-color check x.config.mjs", True),
        ("start settings.js", False),
        ("stop ecosystem.config.js", False),
        ("check missing.config.js", False),
        ("check fastlb.toml", False),
        ("", False),
    ],
)
def test_node_is_started_early_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, expected: bool
) -> None:
    for name in ("ecosystem.config.js", "settings.js", "ecosystem.production.js", "x.config.mjs", "fastlb.toml"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    assert probably_needs_node(line.split()) is expected


def test_a_file_that_ends_node_before_it_is_asked(tmp_path: Path) -> None:
    evaluator = Evaluator()
    os.kill(evaluator.pid, signal.SIGKILL)
    os.waitid(os.P_PID, evaluator.pid, os.WEXITED | os.WNOWAIT)
    evaluator.ask(str(tmp_path / FILE))
    assert os.read(evaluator.data_fd, 1) == b""
    evaluator.end()


def test_it_has_none_of_our_descriptors(tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    script = "module.exports = require('fs').readdirSync('/proc/self/fd').map((fd) => {"
    script += " try { return require('fs').readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } })"
    try:
        links = evaluate(tmp_path, script)
    finally:
        os.close(secret)
    assert isinstance(links, list)
    assert len(links) > 3
    assert str(tmp_path) not in links


def test_without_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no node on PATH: install Node, or write the settings as TOML"):
        evaluate(tmp_path, "module.exports = {}")
