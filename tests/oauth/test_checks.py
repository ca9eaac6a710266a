"""What django-oauth-toolkit leaves off by default must be on."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_django.fixtures import SettingsWrapper


def errors() -> list[str]:
    from oauth.checks import check_protections

    return [error.msg for error in check_protections(None)]


def test_every_protection_is_on() -> None:
    assert errors() == []


@pytest.mark.parametrize(
    "name", ["REFRESH_TOKEN_REUSE_PROTECTION", "PKCE_REQUIRED", "COMPLIANT_BCP_RFC9700_PKCE_METHOD"]
)
def test_one_that_is_off_stops_the_start(settings: "SettingsWrapper", name: str) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, name: False}
    assert errors() == [f'OAUTH2_PROVIDER["{name}"] must be True.']


def test_a_gate_of_the_toolkit_that_we_do_not_know_is_noticed() -> None:
    from oauth2_provider.settings import DEFAULTS

    from oauth.checks import PROTECTIONS

    assert {name for name in DEFAULTS if name.startswith("COMPLIANT_BCP")} <= set(PROTECTIONS)
