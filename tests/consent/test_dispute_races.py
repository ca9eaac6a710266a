"""A report that an entry was not the user, beside decisions, other stops, and a change of the password."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import SessionToken, User
from accounts.passwords import change_password
from accounts.services import open_session
from audit.readers.reading import AuditEntry
from audit.selectors import entries_for_user
from consent.disputes import Stop, dispute_activity
from consent.models import Consent
from consent.pausing import pause_all_agents
from consent.services import revoke_consent
from core.errors import DomainError
from decisions.requests import VerifyRequest
from decisions.services import decide
from tests.constants import NEW_PASSWORD
from tests.log import log_entries
from tests.threads import race, rounds
from tests.world import ANONYMOUS, Grant, as_user, make_grant

pytestmark = pytest.mark.django_db(transaction=True)
ENDS = {Stop.AGENT: "consent_paused", Stop.ALL_AGENTS: "consent_paused", Stop.CONNECTION: "consent_revoked"}


@pytest.fixture
def grant() -> Grant:
    grant = make_grant(scopes=["email:send"])
    assert deciding(grant)().allowed
    return grant


def deciding(grant: Grant) -> Callable[[], Any]:
    request = VerifyRequest(token=grant.access_token, required_scopes=("email:send",), actor=ANONYMOUS)
    return lambda: decide([request])[0]


def disputing(grant: Grant, stop: Stop, kept_key: str | None = None) -> Callable[[], str]:
    entry = newest(grant.user)
    user = User.objects.get(pk=grant.user.pk)

    def act() -> str:
        consent = Consent.objects.select_related("agent__organization").get(pk=grant.consent.pk)
        return dispute_activity(
            actor=as_user(user), user=user, entry=entry, consent=consent, stop=stop, kept_key=kept_key
        )

    return act


def newest(user: User) -> AuditEntry:
    return next(iter(entries_for_user(user.id)))


@rounds(4)
@pytest.mark.parametrize("stop", ENDS)
def test_nothing_is_allowed_after_it(grant: Grant, stop: Stop, number: int) -> None:
    """In the log, no allowed request comes after the stop."""
    decisions = race([disputing(grant, stop), *[deciding(grant)] * 4])[1:]
    assert {decision.reason for decision in decisions} <= {None, ENDS[stop]}
    assert deciding(grant)().reason == ENDS[stop]
    (end,) = [one for one in log_entries() if one.event in ("agent.paused", "agents.paused", "consent.revoked")]
    assert all(use.leaf_index < end.leaf_index for use in log_entries(event="token.verify", outcome="allowed"))


@rounds(4)
def test_all_stops_at_once_hold(grant: Grant, number: int) -> None:
    open_session(actor=ANONYMOUS, user=grant.user)
    others = [
        lambda: pause_all_agents(actor=as_user(grant.user), user=grant.user),
        lambda: revoke_consent(actor=as_user(grant.user), consent=Consent.objects.get(pk=grant.consent.pk)),
    ]
    outcomes = race([*[disputing(grant, stop, "") for stop in ENDS], *others, deciding(grant)])
    assert not [one for one in outcomes if isinstance(one, DomainError)]
    assert deciding(grant)().reason == "consent_revoked"
    assert len(log_entries(event="user.activity_disputed")) == 1
    assert not SessionToken.objects.exists()


@rounds(4)
def test_an_entry_reported_at_once_has_one_report(grant: Grant, number: int) -> None:
    reports = race([disputing(grant, Stop.NOTHING)] * 4)
    (report,) = log_entries(event="user.activity_disputed")
    assert set(reports) == {report.id}


@rounds(4)
def test_a_new_password_and_a_report_both_hold(grant: Grant, number: int) -> None:
    user = User.objects.get(pk=grant.user.pk)
    report, changed = race(
        [
            disputing(grant, Stop.AGENT, ""),
            lambda: change_password(actor=as_user(user), user=user, password=NEW_PASSWORD),
        ]
    )
    assert changed is None
    is_refused = isinstance(report, DomainError)
    assert len(log_entries(event="user.activity_disputed")) == (0 if is_refused else 1)
    assert deciding(grant)().allowed == is_refused
