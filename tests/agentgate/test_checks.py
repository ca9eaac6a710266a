"""System checks of settings that are unsafe in combination."""

from ipaddress import ip_network
from typing import Any

import pytest

from agentgate.checks import check_exposure, check_proxies, check_sqlite, check_throttles
from tests.shared import cases


def found() -> set[str]:
    """Return the ids of the messages of our own checks."""
    checks = (check_exposure, check_proxies, check_sqlite, check_throttles)
    return {str(message.id) for check in checks for message in check()}


@pytest.fixture(autouse=True)
def _safe(settings: Any) -> None:
    assert found() == set()


def https(settings: Any) -> None:
    settings.IS_HTTPS, settings.HOSTNAME = True, "gate.example.com"


def test_debug_is_refused_with_https_only(settings: Any) -> None:
    settings.DEBUG = True
    assert found() == set()
    https(settings)
    assert found() == {"agentgate.E001"}


def test_a_wildcard_host_is_refused_with_https(settings: Any) -> None:
    https(settings)
    settings.ALLOWED_HOSTS = ["*"]
    assert found() == {"agentgate.E002"}


@cases("network", ["0.0.0.0/0", "::/0"])
def test_trusting_every_address_is_refused(network: str, settings: Any) -> None:
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"), ip_network(network))
    assert found() == {"agentgate.E003"}


@cases("rate", ["20", "20 per hour", "0/hour", "-1/minute", "1/fortnight", ""])
def test_an_invalid_throttle_is_refused(rate: str, settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = rate
    assert found() == {"agentgate.E004"}


@cases(
    "options",
    [
        {"transaction_mode": "DEFERRED", "init_command": "PRAGMA synchronous=FULL;"},
        {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA synchronous=NORMAL;"},
        {},
    ],
)
def test_unsafe_sqlite_options_are_refused(
    options: dict[str, str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = settings.DATABASES["default"]
    monkeypatch.setitem(database, "ENGINE", "django.db.backends.sqlite3")
    monkeypatch.setitem(database, "OPTIONS", options)
    assert found() == {"agentgate.E005"}


def test_codes_that_are_mailed_only_to_the_log_cause_a_warning(settings: Any) -> None:
    settings.MAILERS = {"default": {"BACKEND": "accounts.console_mail.EmailBackend", "OPTIONS": {}}}
    assert found() == set()
    settings.REQUIRE_VERIFIED_EMAIL = True
    assert found() == {"agentgate.W002"}
