"""What a site of static files answers: tables of paths, links, versions, parts, encodings and passwords."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from fastlb.worker.static_files.app import StaticApp
from fastlb.worker.static_files.basic_auth import read_auth
from fastlb.worker.static_files.conditions import Version, accepted_encodings, wanted_part
from fastlb.worker.static_files.site import Site, SiteError, read_site

DATE = "Wed, 01 Jan 2025 00:00:00 GMT"
SECONDS = 1735689600
Answer = tuple[int, dict[str, str], bytes]
Ask = Callable[..., Answer]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A site, and beside it what it must not serve."""
    files = {
        "outside.txt": "secret",
        "site-2/x": "secret",
        "site/index.html": "home",
        "site/404.html": "nothing",
        "site/app.js": "0123456789",
        "site/app.js.gz": "gz",
        "site/app.js.br": "br",
        "site/docs/index.html": "docs",
        "site/empty/x.bin": "",
        "site/.env": "secret",
        "site/.git/config": "secret",
        "site/ü x.txt": "umlaut",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (SECONDS, SECONDS))
    links = {"out": "../outside.txt", "up": "..", "in": "docs", "hidden": ".env", "loop": "loop", "beside": "../site-2"}
    for name, goal in links.items():
        (tmp_path / "site" / name).symlink_to(goal)
    os.mkfifo(tmp_path / "site" / "pipe")
    return tmp_path / "site"


def asking(root: Path, **settings: Any) -> Ask:
    """Return what asks a site at `root` for a path, with headers as WSGI names them."""
    site = read_site(Site(directory=str(root), **settings).arguments(), {})
    app = StaticApp(site, read_auth(site))

    def ask(path: str, method: str = "GET", **headers: str) -> Answer:
        told: list[Any] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "wsgi.file_wrapper": FileWrapper,
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        body = app(environ, lambda status, headers: told.extend((int(status[:3]), dict(headers))))
        data = b"".join(body)
        if isinstance(body, FileWrapper):
            body.filelike.close()
        return told[0], told[1], data

    return ask


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, b"home"),
        ("", 301, b"Moved Permanently\n"),
        ("/app.js", 200, b"0123456789"),
        ("//app.js", 200, b"0123456789"),
        ("/docs/", 200, b"docs"),
        ("/docs", 301, b"Moved Permanently\n"),
        ("/in/", 200, b"docs"),
        ("/ü x.txt", 200, b"umlaut"),
        ("/empty/x.bin", 200, b""),
        *((path, 404, b"nothing") for path in (
            "/none", "/app.js/", "/app.js/x", "/empty/", "/empty", "/out", "/up/outside.txt", "/up/", "/beside/x",
            "/hidden", "/loop", "/pipe", "/.env", "/.git/config", "/../outside.txt", "/docs/../app.js", "/./app.js",
            "/..", "/x\0y", "/" + "a" * 300, "/" + "a/" * 3000, "/" + str(Path("/etc/passwd")) + "/..",
        )),
    ],
)  # fmt: skip
def test_path_leads_to(root: Path, path: str, status: int, body: bytes) -> None:
    answer = asking(root)(path)
    assert (answer[0], answer[2]) == (status, body)


def test_no_descriptor_stays_open(root: Path) -> None:
    ask = asking(root)
    before = os.listdir("/proc/self/fd")
    for path in ("/", "/docs", "/out", "/pipe", "/none", "/app.js", "/empty/", "/app.js/", "/hidden"):
        for method in ("GET", "HEAD", "POST"):
            ask(path, method)
            ask(path, method, range="bytes=1-2", accept_encoding="gzip, br")
            ask(path, method, if_none_match="*")
            ask(path, method, if_match='"x"')
    assert os.listdir("/proc/self/fd") == before


def test_dotfiles_are_served_when_asked_for(root: Path) -> None:
    ask = asking(root, has_dotfiles=True)
    assert [ask(path)[0] for path in ("/.env", "/.git/config", "/hidden", "/out", "/../outside.txt")] == [200] * 3 + [
        404
    ] * 2


def test_redirect_stays_on_the_host(root: Path) -> None:
    assert asking(root)("//docs")[1]["Location"] == "/docs/"


def test_directory_that_is_a_link_may_be_changed_over(root: Path) -> None:
    current = root.parent / "current"
    current.symlink_to("site")
    ask = asking(current)
    assert ask("/docs/")[0] == 200
    current.unlink()
    current.symlink_to("site-2")
    assert (ask("/docs/")[0], ask("/x")[2]) == (404, b"secret")


@pytest.mark.parametrize(
    ("path", "accept", "body"),
    [("/a/view", "", b"home"), ("/john.doe", "text/html,*/*", b"home"), ("/gone.js", "*/*", b"nothing")],
)
def test_site_of_one_page(root: Path, path: str, accept: str, body: bytes) -> None:
    assert asking(root, is_spa=True)(path, accept=accept)[2] == body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if_none_match": "ETAG"}, 304),
        ({"if_none_match": '"other", W/ETAG'}, 304),
        ({"if_none_match": '"other"', "if_modified_since": DATE}, 200),
        ({"if_modified_since": DATE}, 304),
        ({"if_modified_since": "Tue, 31 Dec 2024 00:00:00 GMT"}, 200),
        ({"if_modified_since": "no date"}, 200),
        ({"if_match": "ETAG"}, 200),
        ({"if_match": "W/ETAG"}, 412),
        ({"if_unmodified_since": "Tue, 31 Dec 2024 00:00:00 GMT"}, 412),
        ({"range": "bytes=2-3"}, 206),
        ({"range": "bytes=2-3", "if_range": "ETAG"}, 206),
        ({"range": "bytes=2-3", "if_range": DATE}, 206),
        ({"range": "bytes=2-3", "if_range": '"other"'}, 200),
        ({"range": "bytes=10-"}, 416),
    ],
)
def test_version_and_part(root: Path, headers: dict[str, str], status: int) -> None:
    ask = asking(root)
    etag = ask("/app.js")[1]["ETag"]
    found, told, body = ask("/app.js", **{name: value.replace("ETAG", etag) for name, value in headers.items()})
    assert found == status
    if status == 206:
        assert (told["Content-Range"], told["Content-Length"], body) == ("bytes 2-3/10", "2", b"23")


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=-0", (10, 10)),
        ("bytes=8-99", (8, 10)),
        ("bytes=99-", (10, 10)),
        ("bytes=99-100", (10, 10)),
        ("bytes=3-2", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=" + "9" * 5000 + "-", None),
    ],
)
def test_part_that_is_wanted(header: str, part: tuple[int, int] | None) -> None:
    assert wanted_part({"HTTP_RANGE": header}, Version('"x"', 0), 10) == part


@pytest.mark.parametrize(
    ("accepted", "body", "encoding"),
    [
        ("gzip, br", b"br", "br"),
        ("gzip", b"gz", "gzip"),
        ("br;q=0, gzip;q=0.1", b"gz", "gzip"),
        ("", b"0123456789", ""),
    ],
)
def test_compressed_file(root: Path, accepted: str, body: bytes, encoding: str) -> None:
    _, told, sent = asking(root)("/app.js", accept_encoding=accepted)
    assert (sent, told.get("Content-Encoding", ""), told["Vary"]) == (body, encoding, "Accept-Encoding")
    assert told["Content-Type"] == "text/javascript; charset=utf-8"
    assert "Vary" not in asking(root)("/", accept_encoding=accepted)[1]


def test_star_accepts_every_encoding() -> None:
    assert accepted_encodings("*;q=0.5, br;q=0") == {"gzip"}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401),
        ("Basic " + base64.b64encode(b"me:pass word").decode(), 200),
        ("basic " + base64.b64encode(b"me:pass word").decode(), 200),
        ("Basic " + base64.b64encode(b"me:pass").decode(), 401),
        ("Basic " + base64.b64encode(b"you:pass word").decode(), 401),
        ("Basic ???", 401),
        ("Basic ü", 401),
        ("Bearer x", 401),
        ("Basic " + "A" * 9000, 401),
    ],
)
def test_password(root: Path, header: str, status: int) -> None:
    file = root.parent / "password"
    file.write_text("pass word\nanother line\n")
    ask = asking(root, username="me", password_file=str(file))
    assert ask("/", authorization=header)[0] == status
    assert ask("/none", "POST", authorization=header)[0] in (status, 405)


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ([], {"PM2_SERVE_BASIC_AUTH": "true"}),
        ([], {"PM2_SERVE_BASIC_AUTH_USERNAME": "me"}),
        ([], {"PM2_SERVE_BASIC_AUTH_PASSWORD": "x"}),
        ([".", "--basic-auth-username=me"], {}),
        ([".", "--basic-auth-username=a:b", "--basic-auth-password-file=x"], {}),
        ([".", "--sap"], {}),
        (["/no/such/directory"], {}),
    ],
)
def test_site_that_is_refused(arguments: list[str], environ: dict[str, str]) -> None:
    with pytest.raises(SiteError):
        read_site(arguments, environ)


@pytest.mark.parametrize("text", ["", "\n", "x" * 2000])
def test_password_that_is_none_is_refused(root: Path, text: str) -> None:
    file = root.parent / "password"
    file.write_text(text)
    with pytest.raises(SiteError):
        asking(root, username="me", password_file=str(file))


def test_words_of_pm2(root: Path) -> None:
    environ = {
        "PM2_SERVE_PATH": str(root),
        "PM2_SERVE_SPA": "true",
        "PM2_SERVE_HOMEPAGE": "/docs/index.html",
        "PM2_SERVE_BASIC_AUTH": "true",
        "PM2_SERVE_BASIC_AUTH_USERNAME": "me",
        "PM2_SERVE_BASIC_AUTH_PASSWORD": "x",
    }
    site = read_site([], environ)
    assert (site.directory, site.homepage, site.is_spa, site.needs_password) == (
        str(root),
        "docs/index.html",
        True,
        True,
    )
    assert not read_site([str(root)], environ | {"PM2_SERVE_BASIC_AUTH": "false"}).needs_password
