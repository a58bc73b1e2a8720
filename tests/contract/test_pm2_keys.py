"""Every key that PM2 knows, and that people write for it, has its row; what a row names exists here."""

from typing import get_args

import pytest
from fastlb.supervisor.pm2.key import Pm2Key, Verdict, camel_case
from fastlb.supervisor.pm2.keys import KEYS, find_key
from fastlb.supervisor.pm2.page import page
from fastlb.supervisor.settings.declared import declared_settings

from .pages import CODE, table_rows
from .sources import ROOT

# The properties of lib/API/schema.json in PM2 7.0.3, but for the pattern ^env_\S*$.
SCHEMA = """
    script name name_prefix filter_env namespace install_url cwd args exec_interpreter node_args out_file error_file
    log_file disable_logs log_type log_date_format time env max_memory_restart pid_file restart_delay
    exp_backoff_restart_delay source_map_support disable_source_map_support wait_ready
    instances kill_timeout shutdown_with_message listen_timeout
    cron_restart merge_logs vizion autorestart watch_delay watch ignore_watch watch_options min_uptime max_restarts
    execute_command exec_mode force append_env_to_name post_update trace disable_trace v8 event_loop_inspector
    deep_monitoring increment_var instance_var pmx automation treekill port username uid gid windowsHide kill_retry_time
    write io autostart stop_exit_codes
""".split()  # noqa: SIM905 - a list of its lines would be three times as long
ALIASES = """
    exec interpreter interpreter_args interpreterArgs out output out_log error err err_file err_log log pid cron
    combine_logs user cmd command
""".split()  # noqa: SIM905
# Written in guides; PM2 drops them.
OF_GUIDES = """
    env_file reload_delay max_size retain compress rotate_logs monitor_mode health_check_interval
    health_check_grace_period min_instances max_instances scale_cpu scale_memory
""".split()  # noqa: SIM905


def all_keys() -> list[Pm2Key]:
    return [key for section in KEYS for key in section.keys]


def test_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "pm2-keys.md").read_text() == page(), "run `make docs`"


def test_every_key_there_has_its_row() -> None:
    on_the_page = {name for row in table_rows(page()) for name in CODE.findall(row[0])}
    written = {name for name in (*SCHEMA, *ALIASES, *OF_GUIDES, "env_*") if name != "interpreterArgs"}
    assert written - on_the_page == set()


@pytest.mark.parametrize("name", [*SCHEMA, *ALIASES, *OF_GUIDES, "env_production"])
def test_every_way_to_write_a_key_is_found(name: str) -> None:
    key = find_key(name)
    assert key is not None
    assert key.name == "env_*" or find_key(camel_case(name)) == key
    assert key.is_known_there == (name not in OF_GUIDES)


def test_what_is_no_key_is_not_found() -> None:
    assert [find_key(name) for name in ("sript", "env_", "", "env*")] == [None] * 4


def test_no_name_means_two_things() -> None:
    names = [name for key in all_keys() for name in key.names]
    assert sorted(names) == sorted(set(names))


def test_a_row_names_the_setting_that_has_its_name() -> None:
    ours = {name: setting.name for setting in declared_settings() for name in (setting.name, *setting.about.aliases)}
    declared = set(ours.values())
    wrong = {
        key.name: ours[name]
        for key in all_keys()
        for name in (key.name, *key.aliases)
        if name in ours
        and not key.variable
        and key.setting != ours[name]
        and (not key.setting or key.setting in declared)
    }
    assert wrong == {}, "supervisor/pm2/keys.py: these are settings now"


def test_numbers_have_the_unit_of_the_setting() -> None:
    units = {setting.name: setting.about.unit for setting in declared_settings()}
    expected = {"seconds": "milliseconds", "bytes": "bytes", "": ""}
    wrong = [
        key.name
        for key in all_keys()
        if key.setting in units and key.is_known_there and key.number_unit != expected[units[key.setting]]
    ]
    assert wrong == []


def test_every_row_says_something_and_fits_in_a_table() -> None:
    texts = [text for key in all_keys() for text in (key.there, key.here)]
    assert [text for text in texts if not text or "|" in text] == []
    assert [key.name for key in all_keys() if not key.here.endswith(".")] == []
    assert {row[2] for row in table_rows(page())} <= set(get_args(Verdict))


def test_what_is_not_here_has_no_setting() -> None:
    assert [key.name for key in all_keys() if key.verdict == "not here" and key.setting] == []
