"""Every configuration that a guide to PM2 shows starts as it stands, or it is said exactly why not.

The blocks are in tests/support/guide; the apps behind them are a small server, and tsx and npx programs that start it.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fastlb_process import Fastlb, describe
from tests.support.node_packages import node_binary
from tests.support.ports import free_port

pytestmark = pytest.mark.skipif(not node_binary(), reason="there is no node")

GUIDE = Path(__file__).resolve().parents[1] / "support" / "guide"
SERVER = """\
const server = require('http').createServer((request, response) => response.end('hello'));
server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => process.send && process.send('ready'));
"""
SCRIPTS = (
    *("server.js", "websocketServer.js", "sessionService.js", "apiServer.js", "restApi.js", "ecommerceApi.js"),
    *("cmsApi.js", "api/server.ts", "scripts/dataProcessor.js"),
)
PROGRAMS = {"tsx": 'exec node --import "$PWD/node_modules/tsx/loader.mjs" "$@"', "npx": "exec sleep 1000"}
# Takes .ts for JavaScript, which is what these scripts are.
LOADER = """\
import { register } from 'node:module';
const hook = `export const load = (url, context, next) =>
  next(url, url.endsWith('.ts') ? { ...context, format: 'commonjs' } : context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
"""
# The guide's 3 s to become ready are for a machine that does nothing else.
PATIENT = ("--listen-timeout", "60", "--settle", "0.1")
REFUSED = {
    "environment": "environment: {node} does not start: --gc-interval= is not allowed in NODE_OPTIONS",
    "secure": "blocks.config.js:104:5: uid app-user: there is no such user",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The guide's files with the apps that they name."""
    shutil.copytree(GUIDE, tmp_path / "site")
    site = tmp_path / "site"
    for name in SCRIPTS:
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(SERVER)
    loader = site / "node_modules" / "tsx"
    loader.mkdir(parents=True)
    (loader / "package.json").write_text('{"name": "tsx", "exports": "./loader.mjs"}')
    (loader / "loader.mjs").write_text(LOADER)
    (site / ".env.production").write_text("FROM_FILE=1\n")
    for name, line in PROGRAMS.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return site


@pytest.fixture
def fastlb(tmp_path: Path) -> Iterator[Fastlb]:
    with Fastlb({"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}) as fastlb:
        yield fastlb


def online(fastlb: Fastlb) -> dict[str, tuple[str, int]]:
    """Return mode and number of workers of the apps that are online."""
    return {
        app["name"]: (app["mode"], len(app["workers"])) for app in fastlb.list_json() if app["status"] == "online"
    }


@pytest.mark.parametrize(
    ("file", "only", "apps"),
    [
        ("ecosystem.config.js", "", {"tron-energy-api": ("fork", 1), "tron-energy-frontend": ("fork", 1)}),
        ("ecosystem.optimized.js", "", {"tron-energy-api": ("cluster", 8), "tron-energy-frontend": ("fork", 1)}),
        ("ecosystem.development.js", "", {"tron-api-dev": ("fork", 1)}),
        ("ecosystem.testing.js", "", {"tron-api-test": ("cluster", 2)}),
        ("ecosystem.production.js", "", {"tron-api-prod": ("cluster", -1)}),
        ("config/pm2.config.js", "app-dev", {"app-dev": ("fork", 1)}),
        ("config/pm2.config.js", "app-test", {"app-test": ("cluster", 2)}),
        ("config/pm2.config.js", "app-prod", {"app-prod": ("cluster", -1)}),
    ],
)
def test_file_starts(fastlb: Fastlb, site: Path, file: str, only: str, apps: dict[str, tuple[str, int]]) -> None:
    text = (site / file).read_text()
    (site / file).write_text(text.replace("3001", str(free_port())).replace("3002", str(free_port())))
    result = fastlb.cli("start", file, *(("--only", only) if only else ()), *PATIENT, cwd=site, timeout=120)
    assert result.returncode == 0, describe(result)
    found = online(fastlb)
    assert {name: (mode, count if apps[name][1] > 0 else -1) for name, (mode, count) in found.items()} == apps, (
        f"{describe(result)}\n{fastlb.logs_text()}"
    )
    if ".env.production" in text:
        (pid, *_) = [worker["pid"] for app in fastlb.list_json() for worker in app["workers"] if "api" in app["name"]]
        assert "FROM_FILE=1" in Path(f"/proc/{pid}/environ").read_text().split("\0")
    for line in result.stderr.splitlines():
        assert "warning" not in line
        assert "error" not in line


# Two workers each: how many the file says is what `test_file_starts` and the tests of values look at.
def test_blocks_start_or_say_why_not(fastlb: Fastlb, site: Path) -> None:
    result = fastlb.cli("start", "blocks.config.js", "--keep-going", *PATIENT, "--workers", "2", cwd=site, timeout=240)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 2, describe(result)
    reasons = [reason.format(node=node_binary()) for reason in REFUSED.values()]
    assert len(errors) == len(reasons), errors
    assert all(reason in line for line, reason in zip(errors, reasons, strict=True)), errors
    text = (site / "blocks.config.js").read_text()
    expected = {
        name: ("fork" if name in FORKS else "cluster") for name in blocks(text) if name not in REFUSED
    }
    assert {name: mode for name, (mode, _) in online(fastlb).items()} == expected


FORKS = ("fork", "static", "job", "websocket", "session", "fork-optimized", "generated-development", "phase-1")


def blocks(text: str) -> list[str]:
    """Return the names of the blocks in blocks.config.js: keys that are indented by two."""
    lines = text.partition("const blocks")[2].partition("};")[0].splitlines()
    return [line.strip().split(":")[0].strip("'") for line in lines if line[:2] == "  " and line[2:3] not in (" ", "}")]
