"""Owns what follows from the declaration of the settings: their list, parsing, checking and showing.

Imported by supervisor and command line. No I/O but for `--workers max`, which asks how many CPUs there are.
It must not know any single setting by name where the declaration can say the same.
"""

import functools
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from ..errors import UsageError
from ..suggestions import did_you_mean
from .addresses import parse_address
from .alerting import check_alerts
from .app_config import AppConfig, Setting
from .app_name import check_app_name
from .health import check_health
from .most_workers import usable_workers
from .quantities import format_duration, format_size, parse_duration, parse_size
from .readiness import check_readiness
from .scaling import check_scaling
from .targets import KIND_TITLES, AppKind, check_target
from .traits import WorkerTraits

ALL_APPS = "all"
HIDDEN = "***"
LONGEST_DURATION = 1e9  # seconds, 31 years: timers and their sums stay exact
# Values that are words where a number is expected, each with the number that it means here and now.
WORDS: dict[str, dict[str, Callable[[], int]]] = {
    name: {"max": usable_workers} for name in ("workers", "max_instances")
}

_FILES_STAY_OPEN = "the log files are those of the supervisor, which stays"
# What a reload cannot apply, since it is looked at once for all workers that will ever be; each with the reason, which
# goes on after "as". Everything else is looked at when a worker is started, and is of its generation alone.
NEEDS_START: dict[str, str] = {
    "name": "the app is known by it",
    **dict.fromkeys(("bind", "backlog", "socket_mode"), "the sockets outlive the workers"),
    **dict.fromkeys(("balance", "handover_timeout"), "the dispatcher is told once"),
    **dict.fromkeys(("proxy_protocol", "proxy_allow_ips", "sticky_cookie"), "the dispatcher is told once"),
    "cgroup_memory_restart": "the cgroup is that of all workers",
    "metrics_bind": "the supervisor listens there",
    **dict.fromkeys(("statsd_host", "statsd_prefix"), "the supervisor asks once where to send"),
    "broadcast": "workers of both generations would have to hear each other",
    **dict.fromkeys(("out_file", "error_file", "log_file", "merge_logs", "disable_logs"), _FILES_STAY_OPEN),
    **dict.fromkeys(("time", "log_date_format", "log_worker", "log_type", "log_json"), _FILES_STAY_OPEN),
    **dict.fromkeys(("access_file", "log_multiline", "log_target", "log_socket"), _FILES_STAY_OPEN),
    **dict.fromkeys(("max_size", "rotate_interval", "rotate_logs"), _FILES_STAY_OPEN),
    **dict.fromkeys(("retain", "retain_days", "compress"), _FILES_STAY_OPEN),
}


class DeclaredSetting(msgspec.Struct, frozen=True):
    """One field of AppConfig: its name, its type without annotations, its default and what is known about it.

    `default` is msgspec.NODEFAULT for a setting that must be given.
    """

    name: str
    type: Any
    default: Any
    about: Setting

    @property
    def option(self) -> str:
        """The long option: `--timeout-keep-alive`."""
        return "--" + self.name.replace("_", "-")

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of an enumeration; empty for every other type."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def is_flag(self) -> bool:
        """Whether the option takes no value: `--access-log`, `--no-access-log`."""
        return self.type is bool

    @property
    def is_list(self) -> bool:
        """Whether the value is a tuple of texts, or of numbers."""
        return get_origin(self.type) is tuple

    @property
    def is_of_numbers(self) -> bool:
        """Whether the value is a tuple of whole numbers."""
        return self.is_list and get_args(self.type)[0] is int

    @property
    def is_map(self) -> bool:
        """Whether the value is made of KEY=VALUE."""
        return get_origin(self.type) is dict

    @property
    def needs_start(self) -> bool:
        """Whether a change takes a stop and a start, because no reload can apply it."""
        return self.name in NEEDS_START


@functools.cache
def declared_settings() -> tuple[DeclaredSetting, ...]:
    """Return every setting, in the order of the declaration.

    Raises:
        TypeError: a field of AppConfig has no Setting.
    """
    return tuple(_declared(field) for field in msgspec.structs.fields(AppConfig))


def _declared(field: msgspec.structs.FieldInfo) -> DeclaredSetting:
    if get_origin(field.type) is not Annotated:
        raise TypeError(f"AppConfig.{field.name} is declared without a Setting")
    base_type, about = get_args(field.type)[:2]
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return DeclaredSetting(field.name, base_type, default, about)


def parse_setting(setting: DeclaredSetting, text: str) -> Any:
    """Return the value that `text` means for `setting`; for a list or a map: one item of it.

    Raises:
        ValueError: it means none; the message says why and what to give, and does not name the setting.
    """
    if setting.choices:
        return _parse_choice(setting, text)
    if setting.is_map:
        return _parse_assignment(text)
    if text in WORDS.get(setting.name, {}):
        return WORDS[setting.name][text]()
    if setting.about.unit == "seconds":
        return _bounded(setting, parse_duration(text))
    if setting.about.unit == "bytes":
        return _bounded(setting, parse_size(text))
    if setting.type is int or setting.is_of_numbers:
        return _bounded(setting, _parse_int(setting, text))
    return text


def format_setting(setting: DeclaredSetting, value: Any) -> str:
    """Return `value` as a user would type it; secrets hidden, where there is one."""
    if setting.is_map:
        return " ".join(f"{key}={HIDDEN if setting.about.secret else value[key]}" for key in value)
    if setting.about.secret:
        return HIDDEN if value else ""
    if setting.is_list:
        return " ".join(map(str, value))
    if setting.is_flag:
        return "on" if value else "off"
    return _format_number(setting, value) if setting.type in (int, float) else str(value)


def hide_secrets(config: AppConfig) -> dict[str, Any]:
    """Return all settings by name, fit to be shown and to be JSON: secret values are `***`."""
    shown: dict[str, Any] = msgspec.to_builtins(config)
    for setting in declared_settings():
        if setting.about.secret and setting.is_map:
            shown[setting.name] = dict.fromkeys(shown[setting.name], HIDDEN)
        elif setting.about.secret and shown[setting.name]:
            shown[setting.name] = [HIDDEN] if setting.is_list else HIDDEN
    return shown


def kind_title(kind: AppKind) -> str:
    """Return how a kind of apps is called: "Node"."""
    return KIND_TITLES.get(kind, kind.title())


def check_config(config: AppConfig, traits: WorkerTraits) -> None:
    """Raise unless every setting has a value that can be used, and they fit together and the app's kind of workers.

    Raises:
        UsageError: names the option, the value and what to give instead.
    """
    check_target(config.target, config.interpreter, config.exec_mode)
    check_app_name(config.name)
    if config.name == ALL_APPS:
        raise UsageError(f"--name {ALL_APPS}: commands take it for every app: choose another --name")
    for setting in declared_settings():
        _check_value(setting, getattr(config, setting.name))
        _check_kind(setting, config, traits)
    check_readiness(config, traits)
    check_health(config)
    check_scaling(config)
    check_alerts(config)
    for address in config.bind:
        parse_address(address)
    if bool(config.ssl_certfile) is not bool(config.ssl_keyfile):
        missing = "--ssl-keyfile" if config.ssl_certfile else "--ssl-certfile"
        raise UsageError(f"TLS needs a certificate and its key: give {missing} too")


def without_effect(config: AppConfig, interface: str) -> list[str]:
    """Return the options that were given, and that nothing looks at in workers that serve an `interface` app."""
    return [
        setting.option
        for setting in declared_settings()
        if setting.about.interfaces
        and interface not in setting.about.interfaces
        and getattr(config, setting.name) != setting.default
    ]


def _check_value(setting: DeclaredSetting, value: Any) -> None:
    texts = [value] if isinstance(value, str) else []
    numbers = [value] if setting.type in (int, float) else []
    if setting.is_of_numbers:
        numbers = value
    elif setting.is_list or setting.is_map:
        texts = [*value, *(value.values() if setting.is_map else ())]
    try:
        for number in numbers:
            _bounded(setting, number)
        if any("\0" in text for text in texts):
            raise ValueError("a NUL character cannot be passed to a process")
        if not all(map(_is_utf_8, texts)):
            raise ValueError("only UTF-8 can be stored, and other bytes were given")
        if setting.is_map and any(not key or "=" in key for key in value):
            raise ValueError("a name is missing before the '='")
        if setting.about.check and value != setting.default:
            setting.about.check(value)
    except ValueError as error:
        raise UsageError(f"{setting.option}: {error}") from None


def _check_kind(setting: DeclaredSetting, config: AppConfig, traits: WorkerTraits) -> None:
    kinds = setting.about.kinds
    is_given = getattr(config, setting.name) != setting.default
    if is_given and setting.name in traits.without_meaning:
        raise UsageError(
            f"{setting.option}: this has no meaning for {config.target}, which is a {traits.title} app: leave it out"
        )
    if is_given and kinds and traits.kind not in kinds:
        meant_for = " or ".join(map(kind_title, kinds))
        raise UsageError(
            f"{setting.option}: this is for {meant_for} apps, and {config.target} is a {traits.title} app:"
            " leave it out"
        )


def _is_utf_8(text: str) -> bool:
    """Other bytes of a command line are surrogates here: os.fsdecode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bounded(setting: DeclaredSetting, value: Any) -> Any:
    lowest, highest = setting.about.minimum, setting.about.maximum
    if highest is None and setting.about.unit == "seconds":
        highest = LONGEST_DURATION
    if lowest is not None and value < lowest:
        raise ValueError(
            f"{_format_number(setting, value)} is too small: {_bounds(setting, lowest, highest)}"
        )
    if highest is not None and value > highest:
        raise ValueError(
            f"{_format_number(setting, value)} is too large: {_bounds(setting, lowest, highest)}"
        )
    return value


def _bounds(setting: DeclaredSetting, lowest: float | None, highest: float | None) -> str:
    parts = ["give"]
    parts += [f"at least {_format_number(setting, lowest)}"] if lowest is not None else []
    parts += ["and"] if lowest is not None and highest is not None else []
    parts += [f"at most {_format_number(setting, highest)}"] if highest is not None else []
    words = "".join(f", or {word}" for word in WORDS.get(setting.name, {}))
    return " ".join(parts) + words


def _format_number(setting: DeclaredSetting, value: float) -> str:
    if setting.about.unit == "seconds":
        return format_duration(value) if value >= 0 else f"{value:g}s"
    return format_size(int(value)) if setting.about.unit == "bytes" else str(int(value))


def _parse_int(setting: DeclaredSetting, text: str) -> int:
    digits = text.removeprefix("-")
    # 18 digits: more are never meant, and the time to read them grows with their square.
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        words = "".join(f" or {word}" for word in WORDS.get(setting.name, {}))
        raise ValueError(f"{text!r} is not a whole number{words}")
    return int(text)


def _parse_choice(setting: DeclaredSetting, text: str) -> str:
    folded = text.casefold()
    for choice in setting.choices:
        if choice.casefold() == folded:
            return choice
    raise ValueError(f"{text!r} is none of {', '.join(setting.choices)}{did_you_mean(text, setting.choices)}")


def _parse_assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, value
