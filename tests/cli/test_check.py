"""`fastlb check`: the verdict on a file, and that nothing is touched."""

import json
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb

ROOT = Path(__file__).resolve().parents[2]
TOML = """\
[apps.shop]
target = "asgi_probe:app"
bind = "127.0.0.1:0"
[apps.site]
target = "nothing.js"
threads = 3
"""


@pytest.fixture
def fastlb() -> Fastlb:
    return Fastlb()


def test_a_file_that_can_be_started(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"apps": [{"name": "a", "script": "x.sh"}, {"script": "echo", "vizion": true}]}')
    (tmp_path / "x.sh").write_text("#!/bin/sh\n")
    result = fastlb.cli("check", "a.json", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "a.json: a, echo can be started\n")
    assert result.stderr.startswith("note: a.json:1:")
    assert "vizion has no effect here" in result.stderr
    assert not fastlb.home.exists()


def test_every_error_has_its_place(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "fastlb.toml").write_text(TOML)
    result = fastlb.cli("check", "fastlb.toml", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("error: fastlb.toml:6:1: threads: this is for Python apps, and nothing.js is")


def test_json_and_a_choice_of_apps(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "fastlb.toml").write_text(TOML)
    result = fastlb.cli("check", "fastlb.toml", "--only", "shop", "--json", cwd=tmp_path)
    assert (result.returncode, json.loads(result.stdout)) == (0, {"ok": True, "apps": ["shop"], "problems": []})


def test_an_error_of_a_script_has_its_place(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "x.config.js").write_text("module.exports = {apps: [\n  {script: process.env.X.y}]}")
    place = "x.config.js:2:26: "
    result = fastlb.cli("check", "x.config.js", cwd=tmp_path)
    assert result.stderr == f"error: {place}TypeError: Cannot read properties of undefined (reading 'y')\n"
    assert "    at " in fastlb.cli("check", "x.config.js", "--stack", cwd=tmp_path).stderr
    problem = json.loads(fastlb.cli("check", "x.config.js", "--json", cwd=tmp_path).stdout)["problems"][0]
    assert (problem["severity"], problem["line"], problem["column"]) == ("error", 2, 26)


def test_a_script_is_not_evaluated_by_a_mistyped_command(fastlb: Fastlb, tmp_path: Path) -> None:
    (tmp_path / "x.config.js").write_text("require('fs').writeFileSync('touched', ''); module.exports = {apps: []}")
    assert fastlb.cli("check", "x.config.js", "--olny", "a", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["fastlb.toml", "ecosystem.config.js"])
def test_examples_can_be_started(fastlb: Fastlb, name: str) -> None:
    result = fastlb.cli("check", f"examples/{name}", cwd=ROOT)
    assert (result.returncode, result.stderr) == (0, "")


def test_standard_input(fastlb: Fastlb, tmp_path: Path) -> None:
    process = fastlb.popen("check", "-", cwd=tmp_path, stdin=-1)
    stdout, stderr = process.communicate("apps:\n  - script: nothing.js\n")
    assert (process.returncode, stdout) == (2, "")
    assert stderr.startswith("error: standard input:2:5: there is no file")
