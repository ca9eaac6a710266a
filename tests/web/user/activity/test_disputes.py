"""The page "This was not me": what it stops, what it reports, and who can read the report."""

import re

import pytest
from django.db import transaction

from accounts.models import BrowserSession, SessionToken, User
from accounts.services import open_session, record_failed_sign_in, record_sign_in
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.selectors import describe_for_organization, entries_for_organization, entries_for_user
from audit.services import record
from consent.models import Consent
from consent.services import revoke_consent
from core.actor import Actor
from tests.shared import cases
from tests.web.ledger import say_about, words_of
from tests.world import ANONYMOUS, as_user, sign_in
from web.user.activity.items import DISPUTABLE


@pytest.fixture
def did(agent, ada, granted):
    """Return the path of the page about what the agent was allowed to do."""
    say = say_about(agent, ada)
    entry_id = say(outcome=Outcome.ALLOWED, scopes=["email:send"], consent_id=granted.id)
    return f"/activity/{entry_id}/dispute"


@pytest.fixture
def signed_in_at(ada):
    """Return the path of the page about a sign-in."""
    record_sign_in(actor=ANONYMOUS, user=ada, method="password")
    return path_of(ada, Event.USER_SIGNED_IN)


def path_of(user, event):
    entry = next(one for one in entries_for_user(user.id) if one.event == event)
    return f"/activity/{entry.id}/dispute"


def reports(user):
    return [one for one in entries_for_user(user.id) if one.event == Event.USER_ACTIVITY_DISPUTED]


def send(client, path, stop="nothing", **fields):
    response = client.post(path, {"stop": stop, **fields})
    assert (response.status_code, response["Location"]) == (303, path)


def test_the_entry_leads_to_the_page(as_ada, did):
    entry = did.removesuffix("/dispute")
    assert f'href="{did}"' in as_ada.get(entry).content.decode()
    assert "Stop the agent, end other sessions" in words_of(as_ada, entry)


def test_an_agent_is_paused_with_one_click(as_ada, did, granted):
    page = as_ada.get(did).content.decode()
    assert 'value="agent"' in page
    assert page.count("checked") == 1
    send(as_ada, did, "agent")
    granted.refresh_from_db()
    assert granted.paused_at is not None
    assert granted.status == Consent.Status.APPROVED


def test_all_agents_are_paused(as_ada, ada, did):
    send(as_ada, did, "all")
    ada.refresh_from_db()
    assert ada.agents_paused_at is not None


def test_the_connection_is_revoked(as_ada, did, granted):
    send(as_ada, did, "connection")
    granted.refresh_from_db()
    assert granted.status == Consent.Status.REVOKED


def test_the_next_steps_name_every_way_in_that_another_person_may_have_left(as_ada, signed_in_at):
    send(as_ada, signed_in_at)
    page = as_ada.get(signed_in_at).content.decode()
    for path in ("/accounts/password/change/", "/account/security", "/accounts/email/", "/connections"):
        assert f'<li><a href="{path}">' in page


def test_nothing_need_be_stopped(as_ada, ada, did, granted):
    send(as_ada, did)
    granted.refresh_from_db()
    assert (granted.status, granted.paused_at) == (Consent.Status.APPROVED, None)
    assert len(reports(ada)) == 1


def test_an_entry_reported_again_has_one_report_and_is_stopped_again(as_ada, ada, did, granted):
    for stop in ("nothing", "nothing", "agent"):
        send(as_ada, did, stop)
    granted.refresh_from_db()
    assert granted.paused_at is not None
    assert len(reports(ada)) == 1


def test_two_entries_have_a_report_each(as_ada, ada, did, signed_in_at):
    send(as_ada, did)
    send(as_ada, signed_in_at)
    assert len(reports(ada)) == 2


def test_other_sessions_end_and_this_one_stays(as_ada, as_bob, ada, bob, signed_in_at):
    other, token = sign_in(ada), open_session(actor=ANONYMOUS, user=ada)
    bobs = open_session(actor=ANONYMOUS, user=bob)
    send(as_ada, signed_in_at, sessions="on")
    assert other.get("/activity").status_code == 302
    assert as_ada.get("/activity").status_code == 200
    assert as_bob.get("/activity").status_code == 200
    assert list(SessionToken.objects.values_list("pk", flat=True)) == [bobs.session.pk]
    assert token.session.pk != bobs.session.pk


def test_sessions_stay_unless_the_user_ends_them(as_ada, ada, did):
    sign_in(ada)
    before = BrowserSession.objects.count()
    send(as_ada, did, "agent")
    assert BrowserSession.objects.count() == before


def test_a_sign_in_preselects_the_sessions(as_ada, signed_in_at):
    page = as_ada.get(signed_in_at).content.decode()
    assert 'name="sessions" id="id_sessions" checked' in page.replace('aria-describedby="x" ', "")
    assert 'value="connection"' not in page


def test_a_failed_sign_in_can_be_reported(as_ada, ada):
    record_failed_sign_in(actor=ANONYMOUS, user=ada)
    send(as_ada, path_of(ada, Event.USER_SIGN_IN_FAILED), sessions="on")


def test_what_only_the_user_may_do_can_be_reported_from_its_page(as_ada, ada):
    with transaction.atomic():
        ids = [record(Draft(event=event, actor=as_user(ada), user_id=ada.id)) for event in sorted(DISPUTABLE)]
    pages = {f"/activity/{each}/dispute": as_ada.get(f"/activity/{each}").content.decode() for each in ids}
    assert [path for path, page in pages.items() if f'href="{path}"' not in page] == []
    send(as_ada, next(iter(pages)))


def test_a_resumption_of_all_agents_preselects_pausing_them(as_ada, ada):
    with transaction.atomic():
        entry_id = record(Draft(event=Event.AGENTS_RESUMED, actor=as_user(ada), user_id=ada.id))
    page = as_ada.get(f"/activity/{entry_id}/dispute").content.decode()
    assert re.search('value="all"[^>]* checked', page)


@cases("event", [Event.USER_PASSWORD_CHANGED, Event.API_KEY_ROTATED])
def test_what_an_administrator_did_cannot_be_reported(as_ada, ada, event):
    with transaction.atomic():
        entry_id = record(Draft(event=event, actor=Actor("administrator", "usr_admin"), user_id=ada.id))
    path = f"/activity/{entry_id}/dispute"
    assert path not in as_ada.get(f"/activity/{entry_id}").content.decode()
    assert as_ada.post(path, {"stop": "nothing"}).status_code == 404


def test_a_consent_that_another_person_gave_can_be_revoked(as_ada, ada, granted):
    send(as_ada, path_of(ada, Event.CONSENT_APPROVED), "connection", sessions="on")
    granted.refresh_from_db()
    assert granted.status == Consent.Status.REVOKED


def test_the_page_then_says_what_to_do_next(as_ada, did):
    send(as_ada, did, "agent")
    words = words_of(as_ada, did)
    assert "You reported that this was not you" in words
    assert "Change your password" in words
    assert "You reported this entry:" in words_of(as_ada, did.removesuffix("/dispute"))
    assert "Activity was reported as unauthorized" in words_of(as_ada)


def test_the_developer_sees_the_report_without_personal_data(as_ada, ada, did, agent):
    send(as_ada, did, "agent")
    organization_id = agent.organization_id
    (report,) = [one for one in entries_for_organization(organization_id) if one.event == Event.USER_ACTIVITY_DISPUTED]
    (shown,) = describe_for_organization([report], organization_id)
    entry_id = did.split("/")[2]
    assert shown["metadata"] == {"entryId": entry_id, "disputedEvent": "token.verify"}
    assert (shown["agentId"], shown["userId"]) == (agent.id, ada.id)
    assert shown["personal"] == {"ip": None, "userAgent": None, "resource": None}


def test_no_organization_sees_the_report_of_a_sign_in(as_ada, ada, signed_in_at):
    send(as_ada, signed_in_at, sessions="on")
    (report,) = reports(ada)
    assert report.organization_ids == []


def test_an_ended_connection_needs_no_stop(as_ada, ada, did, granted):
    revoke_consent(actor=as_user(ada), consent=granted)
    page = as_ada.get(did).content.decode()
    assert 'value="agent"' not in page
    assert as_ada.post(did, {"stop": "agent"}).status_code == 422
    send(as_ada, did, "all")


@cases("stop", ["", "everything"])
def test_an_unknown_choice_reports_nothing(as_ada, ada, did, stop):
    response = as_ada.post(did, {"stop": stop})
    assert response.status_code == 422
    assert "errors" in response.content.decode()
    assert not reports(ada)


def test_a_denial_or_a_decision_to_stop_cannot_be_reported(as_ada, ada, agent, granted):
    entry_id = say_about(agent, ada)(outcome=Outcome.DENIED, reason="consent_paused", scopes=["email:send"])
    revoke_consent(actor=as_user(ada), consent=granted)
    assert as_ada.get(f"/activity/{entry_id}/dispute").status_code == 404
    assert as_ada.post(path_of(ada, Event.CONSENT_REVOKED), {"stop": "nothing"}).status_code == 404


def test_an_entry_of_another_user_cannot_be_reported(as_bob, bob, did, granted):
    assert as_bob.get(did).status_code == 404
    assert as_bob.post(did, {"stop": "connection"}).status_code == 404
    granted.refresh_from_db()
    assert granted.status == Consent.Status.APPROVED
    assert not reports(bob)


def test_a_visitor_must_sign_in(client, did):
    assert client.post(did, {"stop": "agent"})["Location"].startswith("/accounts/login/")


def test_a_report_after_the_password_was_changed_elsewhere_is_refused(as_ada, ada, did):
    from accounts.passwords import change_password
    from audit.selectors import entry_for_user
    from consent.disputes import Stop, dispute_activity
    from core.errors import NotAuthenticated

    stale = User.objects.get(pk=ada.pk)
    change_password(actor=as_user(ada), user=ada, password="another-Passw0rd-entirely")
    entry = entry_for_user(ada.id, did.split("/")[2])
    with pytest.raises(NotAuthenticated):
        dispute_activity(actor=as_user(stale), user=stale, entry=entry, consent=None, stop=Stop.ALL_AGENTS)
    assert not reports(ada)
