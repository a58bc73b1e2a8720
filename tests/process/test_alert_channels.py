"""Telling: real servers of HTTP and SMTP, good ones and such as fail in every way; commands."""

import asyncio
import contextlib
import json
import os
import resource
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_string, policy
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from fastlb.supervisor.alerts.channels.channel import Channel, channels_of
from fastlb.supervisor.alerts.channels.command import run
from fastlb.supervisor.alerts.channels.delivery import deliver
from fastlb.supervisor.alerts.channels.email import send
from fastlb.supervisor.alerts.channels.sender import FAILURES, MOST_TRIES, MOST_WAITING, Sender, pause_after
from fastlb.supervisor.alerts.channels.webhook import post
from fastlb.supervisor.alerts.message import Alert, Message, form_of_host, plain_text, subject
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.settings.app_config import AppConfig

from tests.support.alert_servers import REFUSED, USER, http_server, misbehaving_server, smtp_server
from tests.support.ports import free_port
from tests.support.tls import certificate
from tests.support.waiting import scaled

CPU = Alert("cpu", "2026-03-01T12:00:00.000Z", "worker 3 uses 97 % of a core <!channel> & more")
MESSAGE = Message(app="shop", host="web1", at="2026-03-01T12:01:00.000Z", begun=[CPU], on=["cpu"], sms=["+1"])
# The server without TLS that wants a password is what is tried here.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
STEP, WHOLE = scaled(0.3), scaled(1.0)


def post_quickly(hook: str) -> str:
    return post(hook, MESSAGE, step=STEP, whole=WHOLE)


def post_patiently(hook: str) -> str:
    """For a server that answers, in a thread that may have to wait for its turn."""
    return post(hook, MESSAGE, step=scaled(5), whole=scaled(10))


def test_webhook_gets_the_object() -> None:
    with http_server() as server:
        assert post(f"http://user:p%40ss@127.0.0.1:{server.port}/a/b?c=d", MESSAGE) == ""
    assert server.bodies[0]["begun"] == [{"name": "cpu", "began_at": CPU.began_at, "text": CPU.text}]
    assert server.bodies[0]["app"] == "shop"
    assert server.heads[0]["path"] == "/a/b?c=d"
    assert server.heads[0]["Authorization"] == "Basic dXNlcjpwQHNz"


@pytest.mark.parametrize("form", ["slack", "discord", "teams"])
def test_forms_of_chats(form: str) -> None:
    with http_server(204) as server:
        assert post(f"{form}+http://127.0.0.1:{server.port}/", MESSAGE) == ""
    body: Any = server.bodies[0]
    if form == "slack":
        assert "97 % of a core &lt;!channel&gt; &amp; more" in body["text"]
    elif form == "discord":
        assert (body["allowed_mentions"], "97 %" in body["content"]) == ({"parse": []}, True)
    else:
        assert body["type"] == "message"
        assert "97 %" in body["attachments"][0]["content"]["body"][0]["text"]


@pytest.mark.parametrize(
    ("host", "form"),
    [
        ("hooks.slack.com", "slack"),
        ("discord.com", "discord"),
        ("acme.webhook.office.com", "teams"),
        ("prod-1.westeurope.logic.azure.com", "teams"),
        ("example.org", "json"),
        ("evil-hooks.slack.com.example.org", "json"),
    ],
)
def test_form_of_a_host(host: str, form: str) -> None:
    assert form_of_host(host) == form


def read_request(connection: socket) -> None:
    connection.settimeout(scaled(5))
    while b"\r\n\r\n" not in connection.recv(65536):
        pass


def says(answer: bytes) -> Callable[[socket], None]:
    def behave(connection: socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return behave


def hangs(connection: socket) -> None:
    while connection.recv(65536):
        pass


def is_gone_soon(connection: socket) -> bool:
    """Look for less than a step takes whether the other side has ended."""
    return bool(select.select([connection], [], [], STEP / 4)[0]) and not connection.recv(65536)


def dribbles(connection: socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 ")
    while not is_gone_soon(connection):
        connection.sendall(b"2")


def sends_for_ever(connection: socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Filler: " + b"x" * 8192 + b"\r\n")


def has_an_endless_body(connection: socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


NEVER_DONE = (sends_for_ever, dribbles, hangs)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (says(b"HTTP/1.1 500 Oh no\r\n\r\n"), "it answered 500"),
        (says(b"HTTP/1.1 404 Gone\r\nContent-Length: 900000000\r\n\r\n"), "it answered 404"),
        (says(b"HTTP/1.1 2"), "BadStatusLine"),
        (says(b""), None),
        (says(b"220 mail.example.org ESMTP\r\n"), "BadStatusLine"),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), None),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), ""),
        (has_an_endless_body, ""),
        (sends_for_ever, None),
        (dribbles, None),
        (hangs, "no answer in time"),
    ],
    ids=["500", "404", "middle", "nothing", "other protocol", "continues", "short", "huge", "heads", "dribble", "hang"],
)
def test_server_that_fails(behave: Callable[[socket], None], reason: str | None) -> None:
    with misbehaving_server(behave) as port:
        began = time.monotonic()
        told = post_quickly if behave in NEVER_DONE else post_patiently
        found = told(f"http://127.0.0.1:{port}/T0P/s3cret")
        assert time.monotonic() - began < scaled(10)
    assert found == reason if reason is not None else found
    assert "s3cret" not in found


def test_nobody_listens_and_no_such_host() -> None:
    assert post_quickly(f"http://127.0.0.1:{free_port()}/s3cret") == "Connection refused"
    found = post_quickly("http://no-such-host.invalid/s3cret")
    assert found
    assert "s3cret" not in found


def test_redirect_is_not_followed() -> None:
    with http_server() as other, http_server(302, f"http://127.0.0.1:{other.port}/") as server:
        assert post(f"http://127.0.0.1:{server.port}/", MESSAGE) == "it answered 302"
    assert other.bodies == []


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate().certificate))
    context.check_hostname = False  # it is of another name
    return context


ENVELOPE = ("fastlb@web1", ("a@example.org", "b@example.org"))
LOGIN = "ops:p%40ss%2Fword%3A%207"


@pytest.mark.parametrize("tls", ["", "starttls", "smtps"])
def test_letter_arrives_with_tls_and_login(tls: str) -> None:
    with smtp_server(tls=tls, login=True) as server:
        scheme = "smtps" if tls == "smtps" else "smtp"
        assert send(f"{scheme}://{LOGIN}@127.0.0.1:{server.port}", ENVELOPE, MESSAGE, context=trusting) == ""
    letter = message_from_string(server.bodies[0], policy=policy.default)
    assert letter["Subject"] == "[fastlb] shop on web1: cpu"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert "worker 3 uses 97 % of a core" in server.bodies[0]
    expected = {"to": "a@example.org,b@example.org", "from": "fastlb@web1", "authenticated": "True"}
    assert server.heads[0] == expected | {"tls": str(tls == "starttls")}


def test_password_is_sent_over_tls_alone() -> None:
    with smtp_server(login=True, host="127.0.0.2") as server:  # as if it were another machine
        found = send(f"smtp://{LOGIN}@127.0.0.2:{server.port}", ENVELOPE, MESSAGE)
    assert (found, server.bodies) == ("it offers no TLS, without which no password is sent", [])


def test_certificate_of_another_is_refused() -> None:
    with smtp_server(tls="starttls") as server:
        assert send(f"smtp://127.0.0.1:{server.port}", ENVELOPE, MESSAGE)
    assert server.bodies == []


def test_server_of_mail_that_refuses() -> None:
    with smtp_server(login=True) as server:
        assert send(f"smtp://{USER}:wrong@127.0.0.1:{server.port}", ENVELOPE, MESSAGE) == "it refuses the login"
        assert send(f"smtp://127.0.0.1:{server.port}", ENVELOPE, MESSAGE) == "it answered 530"
    with smtp_server() as server:
        some = send(f"smtp://127.0.0.1:{server.port}", ("a@b", ("a@example.org", REFUSED)), MESSAGE)
        assert some == f"it takes nothing for {REFUSED}"
        assert len(server.bodies) == 1
        assert send(f"127.0.0.1:{server.port}", ("a@b", (REFUSED,)), MESSAGE) == f"it takes nothing for {REFUSED}"


def greets_for_ever(connection: socket) -> None:
    while not is_gone_soon(connection):
        connection.sendall(b"220-welcome\r\n")


@pytest.mark.parametrize("behave", [hangs, greets_for_ever, lambda connection: connection.sendall(b"554 go\r\n")])
def test_server_of_mail_that_fails(behave: Callable[[socket], None]) -> None:
    with misbehaving_server(behave) as port:
        assert send(f"smtp://{LOGIN}@127.0.0.1:{port}", ENVELOPE, MESSAGE, whole=WHOLE)


def test_command_finds_the_object_on_its_standard_input(tmp_path: Path) -> None:
    async def scenario() -> None:
        env = {"PATH": "/usr/bin:/bin", "TOKEN": "x"}
        assert await run('sh -c "cat > told; echo $TOKEN >> told"', str(tmp_path), env, MESSAGE) == ""
        assert await run("false", "", env, MESSAGE) == "it has exited with code 1"
        assert "no-such-program" in await run("no-such-program", "", env, MESSAGE)
        assert "quote it" in await run("'", "", env, MESSAGE)
        assert await run("sleep 60", "", env, MESSAGE, seconds=0.1) == "it has not ended within 0.1 s"

    asyncio.run(scenario())
    told, token = (tmp_path / "told").read_text().splitlines()
    assert (json.loads(told)["sms"], token) == (["+1"], "x")


# Secrets


def config(**settings: Any) -> AppConfig:
    return AppConfig(target="a:b", name="a", **settings)


def test_titles_have_no_secrets() -> None:
    hooks = ("https://hooks.slack.com/T0P/s3cret", "slack+env:HOOK", "https://u:s3cret@hooks.slack.com/")
    found = channels_of(
        config(alert_webhook=hooks, alert_email=("a@b",), alert_smtp="smtp://u:s3cret@h", alert_command="tell s3cret"),
        "web1",
    )
    titles = [channel.title for channel in found]
    assert titles[0] == "email a@b"
    assert titles[1:4] == ["webhook hooks.slack.com", "webhook slack env:HOOK", "webhook hooks.slack.com (3)"]
    assert titles[4] == "command tell"
    assert "s3cret" not in repr(found)


def test_secret_is_looked_up_at_each_try(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    channel = Channel("webhook", "webhook", address=f"slack+file:{file}")

    async def scenario(port: int) -> None:
        assert "cannot be read" in await deliver(channel, MESSAGE, {})
        file.write_text(f"http://127.0.0.1:{port}/\n")
        assert await deliver(channel, MESSAGE, {}) == ""
        from_variable = Channel("webhook", "webhook", address="env:HOOK")
        assert await deliver(from_variable, MESSAGE, {}) == "the variable HOOK is not set"
        wrong = await deliver(from_variable, MESSAGE, {"HOOK": "s3cret"})
        assert "there is no host in it" in wrong
        assert "s3cret" not in wrong
        assert await deliver(from_variable, MESSAGE, {"HOOK": f"http://127.0.0.1:{port}/"}) == ""

    with http_server() as server:
        asyncio.run(scenario(server.port))
    assert ["text" in body for body in server.bodies] == [True, False]


@contextlib.contextmanager
def nothing_left(what: str) -> Iterator[None]:
    """Have no descriptors, or no room for a thread, for a moment."""
    limits, size = resource.getrlimit(resource.RLIMIT_NOFILE), threading.stack_size()
    try:
        if what == "descriptors":
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        else:
            threading.stack_size(1 << 47)  # more than there are addresses
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        threading.stack_size(size)


# poll(2) of more descriptors than there may be is EINVAL.
SHORT_OF = {"descriptors": ("Too many open files", "Invalid argument"), "threads": ("can't start new thread",)}


@pytest.mark.parametrize(
    ("channel", "what"),
    [
        (Channel("command", "command true", command="true"), "descriptors"),
        (Channel("webhook", "webhook here", "http://127.0.0.1:9/"), "descriptors"),
        (Channel("email", "email a@b", "smtp://127.0.0.1:9", ("a@b",), "c@d"), "descriptors"),
        (Channel("webhook", "webhook here", "http://127.0.0.1:9/"), "threads"),
    ],
)
def test_lack_of_what_a_try_needs_is_a_failure_among_others(channel: Channel, what: str) -> None:
    async def scenario() -> str:
        with nothing_left(what):
            return await deliver(channel, MESSAGE, dict(os.environ))

    assert asyncio.run(scenario()) in SHORT_OF[what]


def test_what_no_process_can_be_given_and_no_file_can_hold_is_a_failure(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    async def scenario() -> None:
        assert "null" in await run("/bin/true a\0b", "", {}, MESSAGE)
        assert await run("/bin/true", "", {"A": "x\0y"}, MESSAGE)
        for secret, words in (("fifo", "not a regular file"), ("no\0file", "cannot be read")):
            channel = Channel("webhook", "webhook", address=f"file:{tmp_path}/{secret}")
            assert words in await deliver(channel, MESSAGE, {})

    asyncio.run(scenario())


# Trying again


class Flaky:
    """Takes a message when it is well; knows what it was told."""

    def __init__(self) -> None:
        self.is_well = False
        self.told: list[str] = []
        self.tries = 0

    async def __call__(self, _: Channel, message: Message) -> str:
        self.tries += 1
        if not self.is_well:
            return "not now"
        self.told.append(message.at)
        return ""


CHANNEL = Channel("webhook", "webhook somewhere")


def numbered(number: int) -> Message:
    return Message(app="a", host="h", at=str(number))


def test_channel_that_comes_back_is_told_what_waits_in_its_order() -> None:
    async def scenario() -> None:
        flaky, log = Flaky(), EventLog(None)
        wake = asyncio.Event()

        def pause(failures: int) -> float:
            if failures == FAILURES:
                wake.set()
            return 0.0

        sender = Sender(CHANNEL, flaky, log, pause)
        sender.put(numbered(0))
        sender.put(numbered(1))
        await wake.wait()
        assert sender.problem == "not now"
        flaky.is_well = True
        await sender.finish()
        assert (flaky.told, sender.problem) == (["0", "1"], "")

    asyncio.run(scenario())


def test_what_waits_is_bounded_and_what_is_never_taken_is_given_up() -> None:
    async def scenario() -> None:
        lines: list[bytes] = []
        flaky = Flaky()
        sender = Sender(CHANNEL, flaky, EventLog(None, lines.append), lambda failures: 0.0)
        for number in range(MOST_WAITING + 5):
            sender.put(numbered(number))
        await sender.finish()
        assert flaky.tries == MOST_WAITING * MOST_TRIES
        assert sum(b"alert_lost" in line for line in lines) == MOST_WAITING + 5

    asyncio.run(scenario())


def test_pauses_double_up_to_their_longest() -> None:
    assert [pause_after(failures) for failures in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert pause_after(10_000) == 300.0


def test_text_of_an_app_ends_no_line() -> None:
    bad = Message(app="a", host="h", at="", begun=[Alert("cpu", "", "x\r\nBcc: all\x1b[31m")])
    assert len(plain_text(bad).splitlines()) == 3
    assert "\n" not in subject(Message(app="a\r\nBcc: x", host="h", at="", is_test=True))
