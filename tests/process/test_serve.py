"""`fastlb serve`: a directory behind a port, as an app like any other."""

import base64
import json
import socket
from pathlib import Path

import pytest

from tests.support.fastlb_process import App, Fastlb
from tests.support.ports import free_port
from tests.support.raw_http import RawClient
from tests.support.raw_http import get as request
from tests.support.waiting import scaled

PASSWORD = "correct horse"
AUTH = "Authorization: Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()


@pytest.fixture
def dist(fastlb: Fastlb) -> Path:
    """A site."""
    dist = fastlb.directory / "dist"
    dist.mkdir()
    (dist / "index.html").write_text("home")
    (dist / "large.bin").write_bytes(b"0123456789" * 300_000)
    (fastlb.directory / "password").write_text(PASSWORD + "\n")
    return dist


def ask(app: App, path: str, *headers: str) -> tuple[int, bytes]:
    """Return status and body of an answer."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=scaled(10)) as sock:
        response = RawClient(sock).send(request(path, *headers)).response()
        return response.status, response.body


def test_site_is_an_app_like_any_other(fastlb: Fastlb, dist: Path) -> None:
    user = ("--basic-auth-username", "me", "--basic-auth-password-file", "password")
    options = ("--spa", *user, "--name", "site", "--bind", "127.0.0.1:0", "--settle", "0.1", "--access-log")
    started = fastlb.cli("serve", "dist", *options, cwd=fastlb.directory)
    assert started.returncode == 0, started.stderr
    app = fastlb.app("site")
    assert ask(app, "/")[0] == 401
    assert ask(app, "/a/view", AUTH) == (200, b"home")
    assert ask(app, "/large.bin", AUTH) == (200, b"0123456789" * 300_000)
    assert ask(app, "/large.bin", AUTH, "Range: bytes=11-1500010") == (206, b"1234567890" * 150_000)
    (dist / "new.txt").write_text("new")
    assert ask(app, "/new.txt", AUTH) == (200, b"new")
    (fastlb.directory / "password").write_text("another one")
    app.ok("reload")
    assert ask(app, "/", AUTH)[0] == 401
    fastlb.ok("save")
    told = fastlb.ok("list", "--json").stdout + fastlb.ok("show", "site").stdout + fastlb.logs_text()
    saved = (fastlb.home / "saved-apps.json").read_text()
    assert str(dist) in saved
    assert PASSWORD not in told + saved
    app.ok("stop")
    fastlb.ok("start", "site", "--settle", "0.1")
    assert ask(fastlb.app("site"), "/")[0] == 401  # on another free port


def test_site_in_a_file_of_pm2(fastlb: Fastlb, dist: Path) -> None:
    port = free_port()
    env = {"PM2_SERVE_PATH": "dist", "PM2_SERVE_PORT": port, "PM2_SERVE_SPA": "true", "PM2_SERVE_HOST": "127.0.0.1"}
    file = fastlb.directory / "ecosystem.json"
    file.write_text(json.dumps({"apps": [{"script": "serve", "cwd": str(dist.parent), "env": env, "settle": 100}]}))
    fastlb.ok("start", str(file))
    assert ask(fastlb.app(f"static-page-server-{port}"), "/a/view") == (200, b"home")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none",), "is no directory"),
        (("dist", "--basic-auth-username", "me"), "the file with the password is missing"),
        (("dist", "80", "-b", ":81"), "both say where to listen"),
        (("dist", "--factory"), "this is for an app of your own"),
        (("dist", "eighty"), "127.0.0.1:eighty"),
    ],
)
def test_what_makes_no_sense_is_refused(fastlb: Fastlb, dist: Path, arguments: tuple[str, ...], message: str) -> None:
    result = fastlb.cli("serve", *arguments, cwd=dist.parent)
    assert (result.returncode, message in result.stderr) == (2, True), result.stderr
