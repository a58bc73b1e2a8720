"""`fastlb console` over HTTP: what it shows and does, for whom, and to its end."""

import contextlib
import itertools
import socket
import stat

import pytest
from fastlb.cli.console.connection import MAX_CONNECTIONS

from tests.support.console import ConsoleProcess, refused
from tests.support.fastlb_process import Fastlb
from tests.support.waiting import scaled, wait_until

HOSTILE = "<img/src=x/onerror=\"document.title='owned'\">"


def test_figures_are_live_and_nothing_is_shown_without_the_token(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--workers", "2")
    with ConsoleProcess(fastlb) as console:
        page = console.ask("/")
        assert (page.status, 'id="apps"' in page.body, "Token" in page.body) == (401, False, True)
        paths = ("/api/state", "/api/sparks", "/api/history/app", "/api/stream", "/nothing")
        assert {console.ask(path).status for path in paths} == {401}
        assert console.ask("/login", {"token": console.token + "x"}).status == 401
        cookie = console.log_in().headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
        wait_until(lambda: console.app().get("status") == "online", "the app is shown", 15)

        def requests_per_s() -> float:
            app.get()
            return float(console.app()["live"]["requests_per_s"] or 0)

        wait_until(requests_per_s, "requests are counted", 15)

        def is_well() -> bool:
            shown = console.app()
            return bool(shown["live"]["workers"] == len(shown["workers"]) == 2 and not shown["severity"])

        wait_until(is_well, "both workers are shown, and that nothing is wrong", 15)
        wait_until(lambda: console.ask("/api/history/app").json()["series"]["workers"][-1] == 2, "it is kept", 15)
        assert 'id="apps"' in console.ask("/").body


def test_page_is_ours_alone(fastlb: Fastlb) -> None:
    with ConsoleProcess(fastlb) as console:
        console.log_in()
        names = ("/", "/console.js", "/console.css", "/login.js", "/icon.svg")
        answers = [console.ask(name) for name in names]
        assert {answer.status for answer in answers} == {200}
        for answer in answers:
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["x-frame-options"] == "DENY"
            assert "access-control-allow-origin" not in answer.headers
            assert "://" not in answer.body.replace("http://www.w3.org/2000/svg", "")
        for header, status in (
            ({"Host": "evil.example"}, 421),
            ({"Origin": "http://127.0.0.1:1"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403),
        ):
            assert console.ask("/api/state", headers=header).status == status
            assert console.ask("/console.js", headers=header).status == status
        for path in (
            "/..%2fweb.py",
            "/page/../web.py",
            "//etc/passwd",
            "/api/history/..%2f..",
            "/api/stream?logs=../x",
        ):
            assert console.ask(path).status in (400, 404), path


def test_actions_are_for_those_who_have_the_key(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    before = app.worker_pids
    with ConsoleProcess(fastlb) as looks_only:
        looks_only.log_in()
        wait_until(looks_only.app, "the app is shown", 15)
        answer = looks_only.ask("/api/apps/app/reload", {})
        assert (answer.status, "--allow-actions" in answer.body) == (403, True)
    with ConsoleProcess(fastlb, "--allow-actions") as console:
        console.log_in()
        wait_until(console.app, "the app is shown", 15)
        for headers, status in (
            ({"x-console-key": ""}, 403),
            ({"x-console-key": console.key[:-1]}, 403),
            ({"Cookie": ""}, 401),
            ({"Origin": "http://evil.example"}, 403),
            ({"Content-Type": "text/plain"}, 400),
        ):
            assert console.ask("/api/apps/app/reload", {}, headers).status == status, headers
        assert console.ask("/api/apps/app/reload").status == 405
        assert console.ask("/api/apps/app/delete", {}).status == 400
        assert console.ask("/api/apps/other/reload", {}).status == 400
        assert app.worker_pids == before
        done = console.ask("/api/apps/app/reload", {}).json()
        assert done["ok"], done
        assert app.worker_pids != before
        assert console.ask("/api/apps/app/scale", {"workers": 0}).status == 400
        assert console.ask("/api/apps/app/scale", {"workers": 2}).json()["ok"]
        app.wait_online(2)
        assert console.ask("/api/apps/app/restart", {}).json()["ok"]
        assert console.ask("/api/apps/app/stop", {}).json()["ok"]
        assert fastlb.list_json()[0]["status"] == "stopped"
        assert "is stopped" in console.ask("/api/apps/app/reload", {}).json()["text"]
    assert "reload app: asked for by 127.0.0.1" in console.said
    assert console.token not in console.said


def test_logs_and_events_are_text(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app")
    app.get("/print?first")
    with ConsoleProcess(fastlb) as console:
        console.log_in()
        wait_until(console.app, "the app is shown", 15)
        with console.stream("?logs=app") as stream:
            names: list[str] = []
            texts: list[str] = []
            for name, data in stream:
                names.append(name)
                if name == "log":
                    texts += [line["text"] for line in data["lines"]]
                    if "first" in texts and HOSTILE not in texts:
                        app.get(f"/print?{HOSTILE}")
                if texts.count(HOSTILE) >= 2 and texts.count("first") >= 2 and "events" in names:
                    break
        assert texts.count("first") == 2, "once of each stream: read from the file, or as it comes"
        assert "state" in names
        app.ok("stop")
        wait_until(lambda: console.app()["status"] == "stopped", "the stop is shown", 15)
        with console.stream("?logs=app") as stream:
            ended = next(data for name, data in stream if name == "log" and data["ended"])
            assert "does not run" in ended["ended"]


def test_crashed_app_is_seen_at_a_glance(fastlb: Fastlb) -> None:
    app = fastlb.start("asgi_probe:app", "--max-restarts", "1", "--min-uptime", "60")
    with ConsoleProcess(fastlb) as console:
        console.log_in()
        wait_until(lambda: console.app().get("status") == "online", "the app is shown", 15)
        with pytest.raises(OSError):  # noqa: PT011 - the worker hangs up, in one way or another
            app.get("/exit?3")

        def is_down() -> bool:
            shown = console.app()
            told = " ".join(trouble["text"] for trouble in shown["troubles"])
            return shown["severity"] == "bad" and "exited with code 3" in told

        wait_until(is_down, "it is shown that the app is down, and why", 15)


def test_connections_that_nobody_uses_make_room_and_pages_stay(fastlb: Fastlb) -> None:
    with ConsoleProcess(fastlb) as console, contextlib.ExitStack() as held:
        console.log_in()
        stream = held.enter_context(console.stream())
        assert next(stream)[0] == "state"
        for number in range(2 * MAX_CONNECTIONS):
            sock = held.enter_context(socket.create_connection(("127.0.0.1", console.port), scaled(20)))
            if number % 2:
                sock.sendall(b"GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert sock.recv(16).startswith(b"HTTP/1.1 200"), "it is answered, and kept open"
            elif number % 4:
                sock.sendall(b"GET / HT")
        assert console.ask("/api/state").status == 200
        assert len(list(itertools.islice(stream, 3))) == 3, "the page is told more"


def test_cookie_is_for_tls_alone_behind_a_proxy_that_has_it(fastlb: Fastlb) -> None:
    with ConsoleProcess(fastlb) as console:
        assert "secure" not in console.log_in().headers["set-cookie"].lower()
        by_proxy = {"Host": "localhost", "Origin": "https://localhost"}
        answer = console.ask("/login", {"token": console.token}, by_proxy)
        assert "; secure" in answer.headers["set-cookie"].lower()


def test_console_ends_though_pages_are_open(fastlb: Fastlb) -> None:
    with ConsoleProcess(fastlb) as console:
        console.log_in()
        with console.stream() as stream:
            assert next(stream)[0] == "state"
            console.end()
            assert {name for name, _ in stream} <= {"state", "events"}, "the stream ends as well"


def test_addresses_that_others_reach_take_a_token_of_a_file(fastlb: Fastlb) -> None:
    result = refused(fastlb, "--bind", "0.0.0.0:0")
    assert (result.returncode, "--token-file" in result.stderr) == (2, True)
    result = refused(fastlb, "--bind", "unix:console.sock")
    assert (result.returncode, "HOST:PORT" in result.stderr) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = refused(fastlb, "--bind", str(taken.getsockname()[1]))
    assert (result.returncode, "is in use" in result.stderr) == (1, True)
    file = fastlb.directory / "token"
    file.write_text("a-token-of-twenty-one-characters")
    file.chmod(stat.S_IRUSR)
    with ConsoleProcess(fastlb, "--bind", "0.0.0.0:0", "--token-file", str(file)) as console:
        assert console.token == "", "it is not printed"
        console.token = file.read_text()
        console.log_in()
        assert console.ask("/api/state", headers={"Host": "evil.example"}).status == 421
