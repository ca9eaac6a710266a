"""What the page of a connection shows of work that was handed on, and how the user ends it."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from agents.models import Agent
from agents.services import stop_agent
from consent.models import Consent
from consent.services import revoke_consent
from consent.targets import Pick
from core import clock
from decisions.requests import Reason, VerifyRequest
from tests.decisions.drivers import decide_on_django
from tests.log import log_entries
from tests.web.ledger import words_of
from tests.web.markup import text_of
from tests.world import ANONYMOUS, as_user, grant_to, hand_over, let_delegate, make_agent
from tokens.models import Delegation
from web.user.connections import handed

RATE = {"type": "rate_limit", "config": {"maxRequests": 5, "windowSeconds": 3600, "scope": "per_user"}}
SPEND = {
    "type": "spend_limit",
    "config": {"maxAmount": "100.00", "currency": "EUR", "windowSeconds": 86400, "scope": "per_user"},
}
HEADING = "What it has handed to other agents"


@pytest.fixture
def token(agent, ada):
    token = grant_to(agent, ada, ["email:read", "email:send"])
    let_delegate(token, "verified")
    return token


@pytest.fixture
def connection(token) -> Consent:
    return Consent.objects.get()


@pytest.fixture
def helper(developer) -> Agent:
    return make_agent(developer, name="Summarizer")


@pytest.fixture
def upper(token, helper) -> tuple[Delegation, Any]:
    limits = {"email:read": [RATE], "email:send": [SPEND]}
    return hand_over(
        token,
        helper,
        ["email:read", "email:send"],
        limits=limits,
        task="Trip to Rome",
        targets=[Pick("account", ["work"])],
    )


@pytest.fixture
def lower(upper, rival) -> tuple[Delegation, Any]:
    rival.organization.is_verified = True
    rival.organization.save()
    return hand_over(upper[1].access_token, make_agent(rival, name="Translator"), ["email:read"])


def page(connection: Consent) -> str:
    return f"/connections/{connection.id}"


def end(delegation: Delegation) -> str:
    return f"/connections/delegations/{delegation.id}/end"


def verify(token: str, *scopes: str, **context: Any) -> Any:
    request = VerifyRequest(token=token, required_scopes=scopes, actor=ANONYMOUS, context=context)
    (decision,) = decide_on_django(request)
    return decision


def test_shows_who_handed_what_to_whom_within_which_bounds(as_ada, connection, upper, lower):
    context = {"target": "work", "amount": {"value": "12.50", "currency": "EUR"}}
    assert verify(lower[1].access_token, "email:read", **context).allowed
    assert verify(upper[1].access_token, "email:send", **context).allowed
    words = words_of(as_ada, page(connection))
    assert HEADING in words
    assert "from SmartMail" not in words
    assert "Read your email · Send email as you" in words
    assert "Read your email: At most 5 times per hour (used: 1)" in words
    assert "Send email as you: At most €100.00 per day (used: €12.50)" in words
    assert "Read your email: Only for: work" in words
    assert "Task: Trip to Rome" in words
    assert "Translatorfrom Summarizer" in words
    assert "Rival Robotics" in words
    assert "SmartMail, through Summarizer and Translator" in words


def test_a_connection_that_handed_nothing_on_shows_nothing(as_ada, connection):
    assert HEADING not in words_of(as_ada, page(connection))


def test_cutting_off_says_what_ends_and_ends_it(as_ada, connection, upper, lower):
    assert f'href="{end(upper[0])}"' in text_of(as_ada, page(connection))
    words = words_of(as_ada, end(upper[0]))
    assert "Cut off Summarizer?" in words
    assert "Summarizer immediately loses what SmartMail handed to it: Read your email" in words
    assert "These agents lose what came from it, too: Translator" in words
    assert as_ada.post(end(upper[0])).headers["Location"] == page(connection)
    for _delegation, issued in (upper, lower):
        assert verify(issued.access_token, "email:read", target="work").reason is Reason.DELEGATION_ENDED
    words = words_of(as_ada, page(connection))
    assert "Cut off. Summarizer can no longer do for you what was handed to it." in words
    assert "No other agent has work from it now." in words
    assert "Ended in the last 24 hours" in words
    (entry,) = log_entries(event="delegation.ended")
    assert entry.content["actor"]["kind"] == "user"


def test_what_has_ended_leads_to_the_connection(as_ada, connection, upper):
    as_ada.post(end(upper[0]))
    answer = as_ada.get(end(upper[0]), follow=True)
    assert answer.redirect_chain == [(page(connection), 302)]
    assert "This has already ended." in answer.content.decode()
    as_ada.post(end(upper[0]))
    assert log_entries(event="delegation.ended").count() == 1


def test_another_user_cannot_cut_off(as_bob, upper):
    assert as_bob.get(end(upper[0])).status_code == 404
    assert as_bob.post(end(upper[0])).status_code == 404
    assert Delegation.objects.get(pk=upper[0].pk).ended_at is None


def test_what_ended_is_shown_for_a_day(as_ada, connection, upper):
    as_ada.post(end(upper[0]))
    with time_machine.travel(clock.now() + timedelta(hours=25)):
        assert HEADING not in words_of(as_ada, page(connection))


def test_what_an_agent_that_is_suspended_handed_on_is_not_shown_as_live(as_ada, connection, upper, lower, helper):
    stop_agent(actor=ANONYMOUS.acting_as("administrator", "usr_admin"), agent=helper, reason="x")
    shown = text_of(as_ada, page(connection))
    assert f'href="{end(upper[0])}"' in shown
    assert f'href="{end(lower[0])}"' not in shown


def test_many_are_shown_in_part_those_near_the_agent_first(
    as_ada, monkeypatch, connection, token, upper, lower, developer
):
    monkeypatch.setattr(handed, "MAX_SHOWN", 2)
    other, _issued = hand_over(token, make_agent(developer, name="Booker"), ["email:read"])
    shown = text_of(as_ada, page(connection))
    assert "Not all are shown" in shown
    assert "Live now: 3." in shown
    assert [end(one) in shown for one in (other, upper[0], lower[0])] == [True, True, False]
    hand_over(upper[1].access_token, make_agent(developer, name="Third"), ["email:read"])
    hand_over(upper[1].access_token, make_agent(developer, name="Fourth"), ["email:read"])
    assert "Fourth Third and 1 more" in words_of(as_ada, end(upper[0]))


def test_revoking_and_pausing_say_that_it_ends_and_pauses_too(as_ada, ada, connection, upper):
    ends, pauses = (
        "What it has handed to other agents ends, too. Summarizer",
        "So are those of the agents to which it has handed work.",
    )
    assert ends in words_of(as_ada, f"{page(connection)}/revoke")
    as_ada.post(f"{page(connection)}/pause")
    assert words_of(as_ada, page(connection)).count(pauses) == 2
    assert verify(upper[1].access_token, "email:read", target="work").reason is Reason.CONSENT_PAUSED
    as_ada.post(f"{page(connection)}/resume")
    revoke_consent(actor=as_user(ada), consent=connection)
    assert verify(upper[1].access_token, "email:read", target="work").reason is Reason.CONSENT_REVOKED


def test_they_say_nothing_of_it_if_nothing_was_handed_on(as_ada, connection):
    assert "handed to other agents" not in words_of(as_ada, f"{page(connection)}/revoke")
    as_ada.post(f"{page(connection)}/pause")
    assert "handed work" not in words_of(as_ada, page(connection))
