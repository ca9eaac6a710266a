"""The scopes of a connection are bounded: the log keeps the texts of all, in one entry that its readers can take."""

from typing import Any

import pytest

from accounts.models import User
from agents.models import Agent
from audit.archiving import archive_format
from audit.entries.journal import ENTRY_BYTES
from consent import connections, services
from consent.connections import MAX_SCOPES, Choice
from consent.granting import approve_consent
from consent.models import Consent
from core import clock
from developers.models import Developer
from resources.custom_scopes import ScopeDefinition
from resources.errors import InvalidScope
from tests.log import log_entries
from tests.shared import cases
from tests.world import allow, as_user, ask, make_agent, make_resource_server

pytestmark = pytest.mark.django_db


def longest_scopes(developer: Developer, kind: str, character: str) -> list[str]:
    """Define as many scopes as a request can have, with the longest texts, and return their ids."""
    ids = [f"long:{kind}-{number:03}-abcdefghijkl" for number in range(MAX_SCOPES)]
    words = {"title": character * 80, "description": character * 200, "cannot": character * 200}
    defined = [ScopeDefinition(scope, "low", **words) for scope in ids]
    for start in range(0, MAX_SCOPES, 100):
        make_resource_server(developer, f"https://{kind}-{start}.example", *defined[start : start + 100])
    return ids


@cases("character", ["\U00020000", '"'])
def test_the_longest_approval_fits_in_the_log_and_its_archive(developer: Any, ada: User, character: str) -> None:
    first, second = (longest_scopes(developer, kind, character) for kind in ("first", "second"))
    agent = make_agent(developer, allowed_scopes=[*first, *second])
    allow(ask(agent, scopes=first), ada)
    asked = ask(agent, scopes=second)
    choice = Choice(scopes=second, is_whole=True)
    approve_consent(actor=as_user(ada), consent=asked, user=ada, choice=choice, signed_in_at=clock.now())

    lines = [len(archive_format.encode_entry(entry)) for entry in log_entries(event="consent.approved")]
    assert ENTRY_BYTES / 3 < max(lines) < ENTRY_BYTES


def test_more_scopes_are_not_requested(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_SCOPES", 1)
    ask(agent, scopes=["email:read", "email:read"])
    with pytest.raises(InvalidScope, match="Request at most 1 scopes"):
        ask(agent, scopes=["email:read"], optional_scopes=["email:send"])


def test_more_scopes_are_not_allowed_one_after_another(
    agent: Agent, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_SCOPES", 2)
    allow(ask(agent, scopes=["email:read", "email:send"]), ada)
    asked = ask(agent, scopes=["calendar:freebusy"])
    with pytest.raises(InvalidScope, match="at most 2 scopes"):
        allow(asked, ada)
    assert Consent.objects.get(pk=asked.pk).status == "pending"

    choice = Choice(scopes=["calendar:freebusy", "email:read"], is_whole=True)
    approve_consent(actor=as_user(ada), consent=asked, user=ada, choice=choice, signed_in_at=clock.now())
    assert Consent.objects.get(pk=asked.pk).granted_scopes == ["calendar:freebusy", "email:read"]
