"""A file that is JavaScript is evaluated apart from us: only data comes back, in time and in measure."""

import os
from pathlib import Path

import pytest
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
        ("throw new Error('no such thing')", "node could not evaluate it"),
        ("module.exports = {,}", "node could not evaluate it"),
    ],
)
def test_what_is_no_data(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(tmp_path, text)
    assert caught.value.message.startswith(f"{FILE}: {message}")


def test_a_failure_shows_what_node_says(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(tmp_path, "\nthrow new Error('no such thing')")
    assert "no such thing" in caught.value.details
    assert f"{FILE}:2" in caught.value.details


def test_what_never_ends_is_ended(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"node has not done with it in 0\.5 s"):
        evaluate(tmp_path, "while (true) {}", seconds=0.5)


def test_a_timer_does_not_keep_it(tmp_path: Path) -> None:
    assert evaluate(tmp_path, "setInterval(() => {}, 1000); module.exports = {a: [1, undefined, /x/g]}") == {
        "a": [1, None, "/x/g"]
    }


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
