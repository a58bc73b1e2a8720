"""What follows from the declaration of the settings: parsing, bounds, secrets, checks between settings."""

import re
from typing import Any

import msgspec
import pytest
from fastlb.supervisor.errors import UsageError
from fastlb.supervisor.kinds import effective_bind, traits_of
from fastlb.supervisor.settings.app_config import AppConfig
from fastlb.supervisor.settings.declared import (
    DeclaredSetting,
    check_config,
    declared_settings,
    hide_secrets,
    parse_setting,
)
from fastlb.supervisor.settings.most_workers import usable_workers

CONFIG = AppConfig(target="server:app", name="shop")


def declared(name: str) -> DeclaredSetting:
    return next(setting for setting in declared_settings() if setting.name == name)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("workers", "8", 8),
        ("workers", "max", usable_workers()),
        ("kill_timeout", "1m30s", 90.0),
        ("kill_timeout", "2.5", 2.5),
        ("limit_request_body", "1.5M", 1_572_864),
        ("balance", "IP-Hash", "ip-hash"),
        ("log_level", "INFO", "info"),
        ("root_path", "/shop", "/shop"),
        ("env", "A=b=c", ("A", "b=c")),
        ("bind", "[::]:80", "[::]:80"),
    ],
)
def test_text_is_parsed_as_its_setting_says(name: str, text: str, value: Any) -> None:
    assert parse_setting(declared(name), text) == value


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("workers", "0", "0 is too small: give at least 1 and at most 512, or max"),
        ("workers", "-1", "-1 is too small"),
        ("workers", "1000000", "1000000 is too large"),
        ("workers", "1.5", "not a whole number or max"),
        ("workers", "9" * 5000, "not a whole number"),
        ("kill_timeout", "99999999999s", "too large"),
        ("handover_timeout", "0", "0s is too small: give at least 1ms"),
        ("limit_request_head", "10", "10 is too small: give at least 1K"),
        ("balance", "leastconn", "did you mean least-connections?"),
        ("env", "A", "not KEY=VALUE"),
        ("env", "=b", "not KEY=VALUE"),
    ],
)
def test_bad_text_is_refused_with_what_to_give(name: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_setting(declared(name), text)


def check(config: AppConfig) -> None:
    check_config(config, traits_of(config))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"target": "server"}, "server:app"),
        ({"name": "../shop"}, "cannot be the name of an app"),
        ({"workers": 0}, "--workers: 0 is too small"),
        ({"bind": ("127.0.0.1",)}, "--bind 127.0.0.1: the port is missing"),
        ({"forwarded_allow_ips": "10.0.0.0/33"}, "--forwarded-allow-ips: '10.0.0.0/33' is no network"),
        ({"forwarded_allow_ips": "unix:/run/s"}, "--forwarded-allow-ips: 'unix:/run/s': write unix: alone"),
        ({"proxy_allow_ips": "10.0.0.0/33"}, "--proxy-allow-ips: '10.0.0.0/33' is no address"),
        ({"proxy_allow_ips": "haproxy"}, "--proxy-allow-ips: 'haproxy' is no address"),
        ({"target": "sleep", "exec_mode": "fork", "proxy_protocol": True}, "--proxy-protocol: this has no meaning for"),
        ({"ssl_certfile": "c.pem"}, "give --ssl-keyfile too"),
        ({"ssl_keyfile": "k.pem"}, "give --ssl-certfile too"),
        ({"socket_mode": "0999"}, "--socket-mode: '0999' is no octal mode"),
        ({"socket_mode": ""}, "--socket-mode"),
        ({"env": {"A\0": "b"}}, "--env: a NUL character"),
        ({"env": {"A": "b\0"}}, "--env: a NUL character"),
        ({"env": {"": "b"}}, "--env: a name is missing"),
        ({"args": ("a\0b",)}, "--args: a NUL character"),
        ({"credit": -1}, "--credit: -1 is too small"),
        ({"shutdown_with_message": True}, "--shutdown-with-message: this is for Node or fork-mode apps"),
        ({"interpreter": "node"}, "--interpreter node cannot run"),
        ({"target": "server.js", "threads": 4}, "--threads: this is for Python apps, and server.js is a Node app"),
        ({"target": "server.js", "access_log": True}, "--access-log: this is for Python apps"),
        ({"target": "server.js", "request_timeout": 5.0}, "--request-timeout: this is for Python apps"),
        ({"target": "npm"}, "'npm' starts the app in a process of its own"),
        ({"listen_timeout": 0.0}, "--listen-timeout: 0s is too small"),
    ],
)
def test_config_is_refused_with_option_and_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        check(msgspec.structs.replace(CONFIG, **changes))
    assert reason in refused.value.message


def test_defaults_pass() -> None:
    check(CONFIG)


@pytest.mark.parametrize(
    "changes",
    [
        {"interpreter_args": ("--inspect",), "interpreter": "tsx", "shutdown_with_message": True},
        {"bind": ("0.0.0.0:80",), "credit": 4, "kill_timeout": 1.0, "env": {"A": "b"}, "increment_var": "PORT"},
    ],
)
def test_settings_of_a_node_app_pass(changes: dict[str, Any]) -> None:
    check(msgspec.structs.replace(CONFIG, target="server.js", **changes))


def test_every_setting_of_the_http_section_is_for_python_apps() -> None:
    settings = [setting for setting in declared_settings() if setting.about.section == "HTTP"]
    assert {setting.about.kinds for setting in settings} == {("python",)}


@pytest.mark.parametrize(
    ("target", "bind", "effective"),
    [
        ("server:app", (), ("127.0.0.1:8000",)),
        ("server:app", ("[::]:80",), ("[::]:80",)),
        ("server.js", (), ()),
        ("server.js", ("[::]:80",), ("[::]:80",)),
    ],
)
def test_only_python_apps_have_a_default_address(
    target: str, bind: tuple[str, ...], effective: tuple[str, ...]
) -> None:
    assert effective_bind(AppConfig(target=target, name="a", bind=bind)) == effective


def test_secrets_are_hidden_and_the_rest_is_json() -> None:
    shown = hide_secrets(msgspec.structs.replace(CONFIG, env={"TOKEN": "secret-value"}))
    assert shown["env"] == {"TOKEN": "***"}
    assert b"secret-value" not in msgspec.json.encode(shown)
    assert shown["kill_timeout"] == 30.0
