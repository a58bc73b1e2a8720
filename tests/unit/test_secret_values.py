"""Secret values of --env stand in no message of ours."""

import pytest
from fastlb.supervisor.output.event_log import EventLog
from fastlb.supervisor.settings.secret_values import SecretValues

ENV = {
    "API_TOKEN": "tok-12345678",
    "DB_PASSWORD": "hunter22",
    "DATABASE_URL": "postgres://shop:pa55word@db/shop",
    "STRIPE_KEY": "sk_live_1.2*3",
    "MODE": "production",
    "SHORT_SECRET": "on",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("refused: tok-12345678", "refused: ***"),
        ("login hunter22 at postgres://shop:pa55word@db/shop", "login *** at postgres://shop:***@db/shop"),
        ("sk_live_1.2*3", "***"),
        ("sk_live_1x2*3 in production, it is on", "sk_live_1x2*3 in production, it is on"),
    ],
)
def test_values_are_hidden(text: str, shown: str) -> None:
    assert SecretValues(ENV).hide(text) == shown


def test_log_hides_them_in_every_field() -> None:
    seen: list[bytes] = []
    log = EventLog(None, seen.append)
    log.hide = SecretValues(ENV).hide
    log.error("worker_died", reason="bad token tok-12345678", pid=1)
    assert b'reason="bad token ***" pid=1' in seen[0]


def test_without_secrets_nothing_changes() -> None:
    assert SecretValues({"MODE": "production"}).hide("production") == "production"
