"""The targets on the consent page: what is ticked in advance, and that Allow grants exactly what is ticked."""

import re
from html import unescape

import pytest

from consent.connections import Choice
from consent.details import AuthorizationDetail
from consent.granting import approve_consent
from consent.models import Consent
from consent.targets import Pick
from tests import world
from tests.web.markup import text_of

READ, SEND, FREEBUSY = "email:read", "email:send", "calendar:freebusy"


def detail(*identifiers, kind="account", actions=(READ,)):
    return AuthorizationDetail(type=kind, identifiers=list(identifiers), actions=list(actions))


@pytest.fixture
def request_for(ask):
    """Return a function that requests consent for reading and sending, with these details."""

    def request_for(*details, scopes=(READ, SEND)):
        return ask(scopes=list(scopes), authorization_details=list(details))

    return request_for


def url(consent):
    return f"/consent/{consent.id}"


def page(browser, consent):
    return text_of(browser, url(consent))


def ticked(text):
    """Return the values of the ticked boxes, by name."""
    found = {}
    for box in re.findall(r"<input type=\"checkbox\"[^>]*>", text):
        name, value = re.search(r'name="([^"]*)" value="([^"]*)"', box).groups()
        if " checked" in box:
            found.setdefault(name, []).append(value)
    return found


def allow(browser, consent, *scopes, **targets):
    connection = browser.get(url(consent)).context["connection_state"]
    picks = {name.replace("_", "-"): values for name, values in targets.items()}
    return browser.post(url(consent), {"decision": "allow", "connection": connection, "scopes": scopes, **picks})


def granted(consent):
    consent.refresh_from_db()
    assert consent.status == Consent.Status.APPROVED
    return {scope: target["identifiers"] for scope, (target,) in consent.targets.items()}


def pick(consent, ada, *identifiers):
    """Approve as the user, with these picks."""
    choice = Choice(targets=[Pick("account", identifiers)])
    return approve_consent(actor=world.as_user(ada), consent=consent, user=ada, choice=choice).consent


def test_of_several_candidates_none_is_ticked_in_advance(as_ada, request_for):
    text = page(as_ada, request_for(detail("work", "home"), detail("cal", kind="calendar", actions=[SEND])))
    assert "target-0" not in ticked(text)
    assert ticked(text)["target-1"] == ["cal"]  # the only one
    assert "Accounts" in text
    assert "For “Read your email”. The agent may act only on what you tick here." in text
    assert "For “Send email as you”. The agent may act only on what you tick here." in text


def test_allow_grants_exactly_what_is_ticked(as_ada, request_for):
    consent = request_for(detail("work", "home", "old"))
    assert allow(as_ada, consent, READ, SEND, target_0=["work", "old"]).status_code == 303
    assert granted(consent) == {READ: ["work", "old"]}


def test_a_scope_without_a_ticked_target_asks_again_and_keeps_the_ticks(as_ada, request_for):
    consent = request_for(detail("work", "home"), detail("a", "b", kind="calendar", actions=[SEND]))
    again = allow(as_ada, consent, READ, SEND, target_1=["b"])
    text = unescape(again.content.decode())
    assert again.status_code == 422
    assert "Choose where the agent may act" in text
    assert ticked(text) == {"scopes": [SEND, READ], "target-1": ["b"], "guard": ["ask"]}
    consent.refresh_from_db()
    assert consent.status == Consent.Status.PENDING
    assert allow(as_ada, consent, READ, SEND, target_0=["home"], target_1=["b"]).status_code == 303
    assert granted(consent) == {READ: ["home"], SEND: ["b"]}


def test_a_scope_that_is_not_ticked_needs_no_target(as_ada, request_for):
    consent = request_for(detail("work", "home"))
    assert allow(as_ada, consent, SEND, target_0=["work"]).status_code == 303
    assert granted(consent) == {}
    assert consent.granted_scopes == [SEND]


def test_what_was_not_requested_cannot_be_ticked(as_ada, request_for):
    consent = request_for(detail("work", "home"))
    assert allow(as_ada, consent, READ, target_0=["work", "elsewhere"]).status_code == 400
    assert allow(as_ada, consent, READ, target_1=["work"]).status_code == 422
    consent.refresh_from_db()
    assert consent.status == Consent.Status.PENDING


def test_a_double_click_is_one_decision(as_ada, request_for):
    consent = request_for(detail("work", "home"))
    form = {"decision": "allow", "scopes": [READ], "target-0": ["home"]}
    first, second = (as_ada.post(url(consent), form) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first["Location"] == second["Location"]
    assert as_ada.post(url(consent), {**form, "target-0": ["work"]}).status_code == 409


def test_a_later_request_has_the_earlier_targets_ticked(as_ada, ada, request_for):
    pick(request_for(detail("work", "home", "old")), ada, "home")
    text = page(as_ada, request_for(detail("work", "home", "old")))
    assert ticked(text)["target-0"] == ["home"]


def test_a_kept_bound_is_shown_at_its_scope(as_ada, ada, request_for):
    pick(request_for(detail("work", "home")), ada, "home")
    later = request_for(scopes=[READ, FREEBUSY])
    text = page(as_ada, later)
    assert re.search(r'Only for: <bdi class="named">home</bdi></span>', text)
    assert "target-0" not in text
    assert allow(as_ada, later, READ, SEND, FREEBUSY).status_code == 303
    assert granted(later) == {READ: ["home"]}


def test_a_detail_of_scopes_that_the_agent_lost_is_not_shown(as_ada, agent, request_for):
    consent = request_for(detail("work", "home"))
    agent.allowed_scopes = [SEND]
    agent.save()
    assert "target-0" not in page(as_ada, consent)


def test_identifiers_are_escaped_and_isolated(as_ada, request_for):
    consent = request_for(detail("<b>x</b>", "\u05d0\u05d1"))
    response = as_ada.get(url(consent))
    assert b"<b>x" not in response.content
    assert '<bdi class="named">\u05d0\u05d1</bdi>' in response.content.decode()


def test_the_connection_shows_its_targets(as_ada, ada, request_for):
    consent = pick(request_for(detail("work", "home")), ada, "home")
    text = text_of(as_ada, f"/connections/{consent.id}")
    assert "Where this agent may act" in text
    assert '<bdi class="named">home</bdi>' in text
    assert "work" not in re.search(r'aria-labelledby="targets">.*?</section>', text, re.DOTALL)[0]
    assert "“Read your email”" in re.search(r"<legend class=.field__label.*?</legend>", text, re.DOTALL)[0]
