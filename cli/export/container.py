"""Owns how an app is started in a container, and which of its settings mean nothing there. Pure; the user's shell.

Values of environment variables and passwords are never written: only the names under which they are expected.
"""

from collections.abc import Collection
from typing import Any

from ...supervisor.settings.app_config import AppConfig
from ...supervisor.settings.declared import DeclaredSetting, declared_settings, format_setting
from .exported_app import ExportedApp

OF_LOG_FILES = dict.fromkeys(
    (
        "out_file", "error_file", "log_file", "access_file", "merge_logs", "disable_logs", "log_target", "log_socket",
        "max_size", "rotate_interval", "rotate_logs", "retain", "retain_days", "compress",
    ),
    "output goes to that of the container",
)  # fmt: skip
OF_FILE_CHANGES = dict.fromkeys(
    ("watch", "ignore_watch", "watch_include", "watch_delay"), "files of an image do not change"
)
# What is not said to an app in a container, each with the reason that a comment gives.
LEFT_OUT: dict[str, str] = {
    **OF_LOG_FILES,
    **OF_FILE_CHANGES,
    "cwd": "it is the working directory of the image, and must hold what the app's directory holds",
    "socket_mode": "nobody else is in the container",
    **{
        name: f"it is secret: give it as FASTLB_{name.upper()} in the environment"
        for name in ("ssl_keyfile_password", "alert_smtp", "alert_webhook")
    },
}
# Said in another way, by every format.
SAID_OTHERWISE = ("target", "args", "name", "bind", "env")
MEMORY_OF_SUPERVISOR = 128 << 20  # bytes, with the dispatcher


def start_command(app: ExportedApp, but: Collection[str] = ()) -> list[str]:
    """Return the command that runs an app in a container; `but`: settings that the format itself says."""
    config = app.config
    words = ["fastlb", "run", "--name", config.name]
    for address in app.tcp:
        words += ["--bind", f"0.0.0.0:{address.port}"]
    for path in app.unix:
        words += ["--bind", f"unix:{path}"]
    for setting in declared_settings():
        if setting.name not in (*SAID_OTHERWISE, *LEFT_OUT, *but):
            words += _words(setting, getattr(config, setting.name))
    return [*words, config.target, *(["--", *config.args] if config.args else [])]


def remarks(app: ExportedApp) -> list[str]:
    """Return what is to be known of an app in a container, and what cannot be said of it there."""
    config = app.config
    found = [f"{setting.option}: {LEFT_OUT[setting.name]}" for setting in _given(config) if setting.name in LEFT_OUT]
    found += [
        f"{setting.option} {value}: the file must be in the image"
        for setting in _given(config)
        if setting.name not in (*LEFT_OUT, *SAID_OTHERWISE)
        for value in _texts(getattr(config, setting.name))
        if value.startswith("/") and setting.name != "health_check"
    ]
    if config.nice < 0:
        found.append("--nice: below 0 it needs the capability SYS_NICE")
    if not app.tcp:
        found.append("--bind: no port is known before the app runs, so nothing is published: name one")
    return found


def memory_bytes(app: ExportedApp, workers: int) -> tuple[int, int] | None:
    """Return how much memory the workers may need, and where the kernel may end one; None: nothing was said.

    The second is above the first by the workers that a reload starts before others go, and the supervisor: else the
    kernel would be there before max_memory_restart.
    """
    each = app.config.max_memory_restart
    if not each:
        return None
    return workers * each, (workers + app.config.reload_parallel) * each + MEMORY_OF_SUPERVISOR


def _given(config: AppConfig) -> list[DeclaredSetting]:
    return [setting for setting in declared_settings() if getattr(config, setting.name) != setting.default]


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, tuple) else (value,)
    return tuple(text for text in values if isinstance(text, str))


def _words(setting: DeclaredSetting, value: Any) -> list[str]:
    if value == setting.default:
        return []
    if setting.is_flag:
        return [setting.option if value else setting.option.replace("--", "--no-", 1)]
    texts = list(map(str, value)) if setting.is_list else [format_setting(setting, value)]
    return [word for text in texts for word in _option(setting.option, text)]


def _option(option: str, text: str) -> list[str]:
    return [f"{option}={text}"] if text.startswith("-") else [option, text]
