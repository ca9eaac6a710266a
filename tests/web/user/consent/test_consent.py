"""The consent page: what it shows, who may decide, and how a request ends."""

from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client

from agents.services import update_agent
from consent.codes import AUTHORIZATION_CODE_LIFETIME
from consent.models import AuthorizationCode, Consent
from core import clock
from core.actor import SYSTEM
from developers.services import verify_organization
from tests import world
from tests.shared import cases
from tests.web.markup import inline_code, text_of
from tests.world import allow, make_agent, make_developer

RIGHT_TO_LEFT_OVERRIDE = "\u202e"


def url(consent) -> str:
    return f"/consent/{consent.id}"


def page(client: Client, consent) -> str:
    return text_of(client, url(consent))


def test_requires_sign_in_and_returns(client, ask):
    consent = ask()
    response = client.get(url(consent))
    assert response.status_code == 302
    assert urlsplit(response["Location"]).path == "/accounts/login/"
    assert parse_qs(urlsplit(response["Location"]).query)["next"] == [url(consent)]


def test_shows_the_agent_its_developer_and_the_signed_in_account(as_ada, ask):
    text = page(as_ada, ask())
    heading = (
        '<bdi class="named">SmartMail</bdi> asks to act for you <span class="consent__who">An AI agent by '
        '<bdi class="named">Acme Robotics</bdi></span>'
    )
    assert heading in text
    assert text.lower().count("not verified") == 1
    assert "ada@example.com" in text
    assert "Not you?" in text
    assert "smartmail.example" in text


@pytest.fixture
def verified(developer):
    """The developer, verified by an administrator."""
    verify_organization(actor=SYSTEM, organization=developer.organization, is_verified=True, reason="papers seen")
    return developer


def test_a_verified_developer_has_a_badge_that_says_what_was_checked(as_ada, ask, verified):
    text = page(as_ada, ask())
    assert "Verified developer" in text
    assert "We checked who this developer is, but not the agent" in text
    assert "We have not checked who is behind this agent" not in text


def test_invisible_and_bidi_characters_in_names_are_removed(as_ada, ask, developer):
    name = f"Safe{RIGHT_TO_LEFT_OVERRIDE}\u200bMail\u0007"
    consent = world.ask(make_agent(developer, name=name), reason=f"Please{RIGHT_TO_LEFT_OVERRIDE} trust me")
    text = page(as_ada, consent)
    assert '<bdi class="named">SafeMail</bdi>' in text
    assert "Please trust me" in text
    assert not {RIGHT_TO_LEFT_OVERRIDE, "\u200b", "\u0007"} & set(text)


def test_markup_in_names_is_escaped(as_ada, ask, developer):
    consent = world.ask(make_agent(developer, name="<script>alert(1)</script>"))
    assert b"<script>alert" not in as_ada.get(url(consent)).content


def test_the_reason_is_quoted_as_unchecked(as_ada, ask):
    text = page(as_ada, ask(reason="To sort your inbox"))
    assert "To sort your inbox" in text
    assert "We have not checked this" in text


def test_shows_access_while_away_and_the_expiry_date_before_the_scopes(as_ada, ask):
    with time_machine.travel("2026-11-01T12:00:00Z", tick=False):
        text = page(as_ada, ask())
    assert text.index("while you are away") < text.index("Dec 1, 2026") < text.index("Read your email</span>")


def test_only_required_low_and_standard_scopes_are_ticked(as_ada, ask, verified):
    text = page(as_ada, ask(scopes=["email:read", "email:send"], optional_scopes=["calendar:freebusy"]))
    assert 'value="email:read" checked' in text
    assert 'value="email:send" checked' not in text
    assert 'value="calendar:freebusy" checked' not in text
    assert text.index("The agent says it needs") < text.index("Optional") < text.index("busy and free")


def test_each_scope_shows_what_it_can_and_cannot_do_and_its_risk(as_ada, ask):
    text = page(as_ada, ask(scopes=["email:send"]))
    assert "Send new mail and replies from your address." in text
    assert "Cannot read or delete mail." in text
    assert "High risk" in text


def test_a_critical_scope_asks_every_time_and_offers_no_choice(as_ada, ask):
    text = page(as_ada, ask(scopes=["payments:charge"]))
    assert "Charge your card." in text
    assert "Asks you every time." in text
    assert "Allow without asking" not in text


def test_a_loopback_redirect_shows_a_warning(as_ada, ask, developer):
    local = make_agent(developer, redirect_uris=["http://localhost/callback"])
    assert "a program on this computer" in page(as_ada, world.ask(local, redirect_uri="http://localhost:4444/callback"))
    assert "a program on this computer" not in page(as_ada, ask())


def test_allowing_some_scopes_redirects_to_the_agent_with_a_code(as_ada, ask, ada):
    consent = ask(state="a b")
    response = as_ada.post(url(consent), {"decision": "allow", "scopes": ["email:read"]})
    assert response.status_code == 303
    query = parse_qs(urlsplit(response["Location"]).query)
    assert response["Location"].startswith("https://smartmail.example/callback?")
    assert query["state"] == ["a b"]
    assert query["iss"] == ["http://localhost:8000/oauth"]
    assert query["code"]
    consent.refresh_from_db()
    assert (consent.status, consent.granted_scopes, consent.user) == ("approved", ["email:read"], ada)


def test_a_double_click_returns_the_same_code(as_ada, ask):
    url = f"/consent/{ask().id}"
    click = {"decision": "allow", "scopes": ["email:read"]}

    first, second = as_ada.post(url, click), as_ada.post(url, click)

    assert (first.status_code, second.status_code) == (303, 303)
    assert first["Location"] == second["Location"]
    assert as_ada.post(url, {"decision": "deny"}).status_code == 409
    assert as_ada.post(url, {**click, "scopes": ["email:read", "email:send"]}).status_code == 409


def test_denying_twice_returns_to_the_agent_twice(as_ada, ask):
    consent = ask()
    first, second = (as_ada.post(url(consent), {"decision": "deny"}) for _ in range(2))
    assert first.status_code == 303
    assert first["Location"] == second["Location"]
    with time_machine.travel(clock.now() + AUTHORIZATION_CODE_LIFETIME):
        assert as_ada.post(url(consent), {"decision": "deny"}).status_code == 409


def test_a_click_does_not_repeat_a_code_that_is_used_or_expired(as_ada, ask):
    consent = ask()
    click = {"decision": "allow", "scopes": ["email:read"]}
    as_ada.post(url(consent), click)
    with time_machine.travel(clock.now() + AUTHORIZATION_CODE_LIFETIME):
        assert as_ada.post(url(consent), click).status_code == 409
    AuthorizationCode.objects.filter(consent=consent).update(consumed_at=clock.now())
    assert as_ada.post(url(consent), click).status_code == 409


def test_a_click_does_not_repeat_a_code_that_another_secret_signed(as_ada, ask, settings):
    consent = ask()
    click = {"decision": "allow", "scopes": ["email:read"]}
    as_ada.post(url(consent), click)
    settings.JWT_SECRET = "another-" * 8
    assert as_ada.post(url(consent), click).status_code == 409


def test_a_click_does_not_repeat_a_code_that_was_moved_from_an_earlier_consent(as_ada, ask):
    earlier, consent = ask(), ask()
    click = {"decision": "allow", "scopes": ["email:read"], "lifetime": "2592000"}
    first = as_ada.post(url(earlier), click)
    shown = as_ada.get(url(consent)).context["connection_state"]
    second = as_ada.post(url(consent), {**click, "connection": shown})
    assert AuthorizationCode.objects.filter(consent=consent).count() == 2
    assert as_ada.post(url(consent), click)["Location"] == second["Location"] != first["Location"]


def test_denying_redirects_to_the_agent_with_access_denied(as_ada, ask):
    consent = ask()
    response = as_ada.post(url(consent), {"decision": "deny"})
    assert response.status_code == 303
    query = parse_qs(urlsplit(response["Location"]).query)
    assert query.pop("error") == ["access_denied"]
    assert query.keys() <= {"error_description", "iss", "state"}
    consent.refresh_from_db()
    assert consent.status == "denied"


def test_allowing_nothing_shows_the_page_again_with_a_focused_summary(as_ada, ask):
    consent = ask()
    response = as_ada.post(url(consent), {"decision": "allow"})
    assert response.status_code == 422
    text = unescape(response.content.decode())
    assert 'id="errors" tabindex="-1" autofocus' in text
    assert "Nothing is ticked" in text
    assert 'aria-invalid="true"' in text
    consent.refresh_from_db()
    assert consent.status == "pending"


def test_allowing_more_than_a_connection_can_have_shows_the_page_again_with_the_choice(
    as_ada, ask, ada, agent, monkeypatch
):
    monkeypatch.setattr("consent.connections.MAX_SCOPES", 2)
    allow(ask(scopes=["email:read", "email:send"]), ada)
    consent = ask(scopes=["calendar:freebusy"])
    state = as_ada.get(url(consent)).context["connection_state"]
    chosen = ["calendar:freebusy", "email:read", "email:send"]
    form = {"decision": "allow", "connection": state, "scopes": chosen, "mode-email:send": "allow"}
    response = as_ada.post(url(consent), form)
    assert response.status_code == 422
    text = unescape(response.content.decode())
    assert "An agent can be allowed at most 2 scopes. Allow fewer, or remove others first." in text
    assert [f'value="{scope}" checked' in text for scope in chosen] == [True, True, True]
    assert 'name="mode-email:send" value="allow" checked' in text
    assert as_ada.post(url(consent), {**form, "scopes": chosen[:2]}).status_code == 303
    consent.refresh_from_db()
    assert consent.granted_scopes == chosen[:2]


def test_a_scope_that_was_not_requested_is_refused(as_ada, ask):
    consent = ask()
    response = as_ada.post(url(consent), {"decision": "allow", "scopes": ["email:read", "profile:read"]})
    assert response.status_code == 400
    assert '<body class="flow">' in response.content.decode()
    consent.refresh_from_db()
    assert consent.status == "pending"


@cases("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(as_ada, ask, method):
    assert getattr(as_ada, method)(url(ask())).status_code == 405


def test_a_get_request_decides_nothing(as_ada, ask):
    consent = ask()
    as_ada.get(url(consent), {"decision": "allow", "scopes": "email:read"})
    consent.refresh_from_db()
    assert consent.status == "pending"
    assert not AuthorizationCode.objects.exists()


def test_a_request_for_another_user_looks_like_one_that_does_not_exist(as_ada, ask, bob):
    for_bob = ask(user_id=bob.id)
    absent = Consent(id="cns_0000")
    for decision in ({}, {"decision": "deny"}, {"decision": "allow", "scopes": ["email:read"]}):
        answers = [as_ada.post(url(one), decision) if decision else as_ada.get(url(one)) for one in (for_bob, absent)]
        assert [answer.status_code for answer in answers] == [404, 404]
        bodies = [
            _without_id_and_token(answer.content.decode(), one)
            for answer, one in zip(answers, (for_bob, absent), strict=True)
        ]
        assert bodies[0] == bodies[1]
    for_bob.refresh_from_db()
    assert for_bob.status == "pending"


def _without_id_and_token(body: str, consent) -> str:
    lines = body.replace(consent.id, "").splitlines()
    return "\n".join(line for line in lines if "csrfmiddlewaretoken" not in line)


def test_a_request_that_another_user_decided_is_not_found(as_ada, ask, bob):
    consent = ask()
    allow(consent, bob)
    assert as_ada.get(url(consent)).status_code == 404
    assert as_ada.post(url(consent), {"decision": "deny"}).status_code == 404


def test_a_decided_request_cannot_be_decided_again(as_ada, granted):
    for response in (as_ada.get(url(granted)), as_ada.post(url(granted), {"decision": "deny"})):
        assert response.status_code == 409
        assert 'You allowed <bdi class="named">SmartMail</bdi> to act for you' in response.content.decode()
    granted.refresh_from_db()
    assert granted.status == "approved"


def test_a_refused_request_says_that_nothing_was_allowed(as_ada, ask):
    consent = ask()
    as_ada.post(url(consent), {"decision": "deny"})
    text = as_ada.get(url(consent)).content.decode()
    assert 'You did not allow the request of <bdi class="named">SmartMail</bdi>' in text
    assert "No access was granted, and what you allowed earlier has not changed." in text
    assert "You can change what you allowed" not in text


def test_an_expired_request_cannot_be_allowed(as_ada, ask):
    consent = ask()
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        form = {"decision": "allow", "scopes": ["email:read"]}
        for response in (as_ada.get(url(consent)), as_ada.post(url(consent), form)):
            assert response.status_code == 410
            assert "This request has expired" in response.content.decode()
    assert not AuthorizationCode.objects.exists()


def test_a_suspended_agent_cannot_be_allowed(as_ada, ask, agent):
    consent = ask()
    update_agent(actor=SYSTEM, agent=agent, changes={"status": "suspended"})
    form = {"decision": "allow", "scopes": ["email:read"]}
    for response in (as_ada.get(url(consent)), as_ada.post(url(consent), form)):
        assert response.status_code == 403
    consent.refresh_from_db()
    assert consent.status == "pending"


def test_is_not_cached_framed_or_scripted(as_ada, ask):
    response = as_ada.get(url(ask()))
    assert "no-store" in response["Cache-Control"]
    assert response["X-Frame-Options"] == "DENY"
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://smartmail.example;" in f"{policy};"
    assert "unsafe" not in policy
    body = response.content.decode()
    assert inline_code(body.encode()) == []
    assert " style=" not in body


def test_only_this_page_may_submit_a_form_to_another_site(as_ada, granted):
    assert "form-action 'self';" in f"{as_ada.get('/connections')['Content-Security-Policy']};"


def test_is_smaller_than_80_kilobytes_with_every_scope(as_ada, ask):
    from resources.catalogue import catalogue

    everything = list(catalogue())
    demanding = make_agent(make_developer("much@example.com", "Much"), allowed_scopes=everything)
    response = as_ada.get(url(world.ask(demanding, scopes=everything)))
    assert len(response.content) < 80_000
