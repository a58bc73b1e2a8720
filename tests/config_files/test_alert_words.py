"""Tables about alerts in files: as a guide to PM2 writes them, and in our words."""

from pathlib import Path

import pytest
from fastlb.cli.config_files.apps import FileApps, read_apps

THRESHOLDS = "thresholds: {cpu: 70, memory: 75, restart: 4, response_time: 1500}"
CHANNELS = "alerts: {email: ['admin@company.com'], webhook: 'https://hooks.slack.com/webhook', sms: ['+1234567890']}"
INTERVALS = "intervals: {health_check: 30000, performance: 60000, log_analysis: 300000}"
GUIDE = f"{{{THRESHOLDS}, {CHANNELS}, {INTERVALS}}}"
MEANT = {
    "alerts": True,
    "alert_cpu": 70,
    "alert_memory": 75,
    "alert_restarts": 4,
    "alert_response_time": 1.5,
    "alert_email": ("admin@company.com",),
    "alert_webhook": ("https://hooks.slack.com/webhook",),
    "alert_sms": ("+1234567890",),
    "alert_interval": 30.0,
    "alert_for": 60.0,
}


def read(directory: Path, name: str, text: str) -> FileApps:
    (directory / name).write_text(text)
    return read_apps(str(directory / name))


def about_alerts(found: FileApps, app: int = 0) -> dict[str, object]:
    return {name: value for name, value in found.apps[app].settings.items() if name.startswith("alert")}


@pytest.mark.parametrize(
    "text",
    [
        f"{{apps: [{{script: 'app.js', {THRESHOLDS}, {CHANNELS}, {INTERVALS}}}]}}",
        f"{{apps: [{{script: 'app.js', monitoring: {GUIDE}}}]}}",
        f"{{apps: [{{script: 'app.js'}}], monitoring: {GUIDE}}}",
        f"{{apps: [{{script: 'app.js'}}], {THRESHOLDS}, {CHANNELS}, {INTERVALS}}}",
    ],
)
def test_guide_is_understood_as_it_stands(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, "apps.json", text)
    assert about_alerts(found) == MEANT
    assert [problem.severity for problem in found.all_problems] == ["note"]
    assert "log_analysis has no effect" in found.all_problems[0].text


def test_what_an_app_says_goes_before_what_all_are_told(tmp_path: Path) -> None:
    text = "{apps: [{script: 'a.js', alerts: false}, {script: 'b.js'}], alerts: {cpu: 50}}"
    found = read(tmp_path, "apps.json", text)
    assert about_alerts(found) == {"alerts": False}
    assert about_alerts(found, 1) == {"alerts": True, "alert_cpu": 50}


def test_our_own_words(tmp_path: Path) -> None:
    text = '[apps.shop]\ntarget = "a:b"\n[apps.shop.alerts]\ncpu = 60\nfor = "2m"\nemail = ["a@b", "c@d"]\n'
    found = read(tmp_path, "fastlb.toml", text)
    assert not found.errors, found.errors
    assert about_alerts(found) == {"alerts": True, "alert_cpu": 60, "alert_for": 120.0, "alert_email": ("a@b", "c@d")}
    flat = read(tmp_path, "fastlb.toml", '[apps.shop]\ntarget = "a:b"\nalerts = true\nalert_cpu = 60\n')
    assert about_alerts(flat) == {"alerts": True, "alert_cpu": 60}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("alerts = {cpus = 60}", "did you mean cpu?"),
        ("alerts = {cpu = 600}", "is too large"),
        ("alerts = {response_time = 1000}", "may mean"),
        ("thresholds = 3", "is no object"),
        ("monitoring = {limits = {}}", "there is no 'limits' in it"),
        ("intervals = {cpu = 3}", "there is no 'cpu' in it"),
    ],
)
def test_what_means_nothing_is_an_error_with_its_place(tmp_path: Path, line: str, what: str) -> None:
    found = read(tmp_path, "fastlb.toml", f'[apps.shop]\ntarget = "a:b"\n{line}\n')
    assert len(found.errors) == 1
    assert what in found.errors[0].text
    assert found.errors[0].place.line == 3
