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
    (tmp_path / "a.json").write_text('{"apps": [{"name": "a", "script": "x.sh"}, {"script": "echo", "watch": true}]}')
    (tmp_path / "x.sh").write_text("#!/bin/sh\n")
    result = fastlb.cli("check", "a.json", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, "a.json: a, echo can be started\n")
    assert result.stderr.startswith("note: a.json:1:")
    assert "watch has no effect here" in result.stderr
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


@pytest.mark.parametrize("name", ["fastlb.toml", "ecosystem.config.js"])
def test_examples_can_be_started(fastlb: Fastlb, name: str) -> None:
    result = fastlb.cli("check", f"examples/{name}", cwd=ROOT)
    assert (result.returncode, result.stderr) == (0, "")


def test_standard_input(fastlb: Fastlb, tmp_path: Path) -> None:
    process = fastlb.popen("check", "-", cwd=tmp_path, stdin=-1)
    stdout, stderr = process.communicate("apps:\n  - script: nothing.js\n")
    assert (process.returncode, stdout) == (2, "")
    assert stderr.startswith("error: standard input:2:5: there is no file")
