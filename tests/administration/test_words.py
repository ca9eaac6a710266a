"""What administrators read in words: log entries as sentences with links, and the terms of a consent."""

import re
from html import unescape

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents import deletion
from agents.services import stop_agent
from audit.entries.drafts import MACHINE_REASONS
from audit.events import Event, Outcome
from audit.models import Entry
from audit.sequencing.sequencer import sequence
from consent.models import Consent
from consent.pausing import pause_agent
from consent.services import expire_grants, expire_requests
from core import clock
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from decisions.wording import CAUSES
from developers.access import access_of_key
from developers.acting import as_developer, as_key
from developers.api_keys import create_api_key
from policies.models import Policy
from policies.services import delete_policy, update_policy
from resources.models import ResourceServer
from tests.administration.test_pages import MAX_QUERIES, form_url, list_url
from tests.administration.test_roles import SAFETY, SUPPORT, member
from tests.administration.world import World, sign_in
from tests.audit.journals import decision as decided
from tests.audit.journals import write_drafts
from tests.consent.test_counts import calls
from tests.log import log_entries
from tests.shared import cases
from tests.world import ANONYMOUS, as_user, ask
from tokens.issuing import IssuedTokens
from tokens.services import issue_client_token, revoke_token


def words(html: str) -> str:
    """Return the text of the page, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html.split("<main")[1])).split())


@cases("is_logged", [True, False])
def test_a_decision_names_all_that_it_concerns_with_links(is_logged: bool, world: World) -> None:
    policy, server = Policy.objects.get(), ResourceServer.objects.get()
    organization = world.developer.organization
    (entry,) = write_drafts(
        [
            decided(
                agent_id=world.agent.id,
                user_id=world.ada.id,
                organization_id=organization.id,
                consent_id=world.consent.id,
                outcome=Outcome.DENIED,
                reason="policy_denied",
                policy_id=policy.id,
                policy_organization_id=organization.id,
                metadata={"resourceServerId": server.id, "ruleType": "action_blocklist"},
            )
        ]
    )
    if is_logged:
        sequence()
    browser = sign_in(member(SUPPORT))
    browser.get("/admin/")  # which notes when the session was last used
    with CaptureQueriesContext(connection) as queries:
        html = browser.get(form_url(Entry(pk=entry.id))).content.decode()
    assert len(queries) <= MAX_QUERIES
    for row in (world.agent, world.ada, organization, world.consent, policy, server):
        assert f'href="{form_url(row)}"' in html, row
    assert "SmartMail was denied: " in words(html).replace(" :", ":")
    assert "Place in the log" in html if is_logged else "not numbered and signed yet" in html


def test_an_administrators_act_shows_its_reason_and_leads_to_all_acts(site: Client, world: World) -> None:
    actor = SYSTEM.acting_as("administrator", world.administrator.id)
    stop_agent(actor=actor, agent=world.agent, reason="It sent spam.")
    entry = log_entries()[0]
    html = site.get(form_url(Entry(pk=entry.id))).content.decode()
    assert "root@example.com stopped the agent SmartMail ." in words(html)
    assert "It sent spam." in html
    acts = f"/admin/audit/entry/?actor={world.administrator.id}"
    assert f'href="{acts}"' in html
    assert entry.id in [row.pk for row in site.get(acts).context["cl"].result_list]


@cases("role", [SUPPORT, SAFETY])
def test_only_superusers_read_what_was_requested(role: str, site: Client, world: World) -> None:
    """As on the page of an approval, which shows no contents."""
    requested = {
        "context": {"to": "zoe@example.net"},
        "named": {"to": "yan@example.net"},
        "amount": {"value": "417.25", "currency": "EUR"},
        "authorizationDetails": [{"type": "payment", "creditor": "Xaver"}],
        "after": {"targets": {"email:send": ["wim@example.net"]}},
        "anythingNew": "vera",
    }
    personal = {"ip": "203.0.113.9", "callerIp": "203.0.113.10", **requested}
    (entry,) = write_drafts([decided(personal=personal, resource="mailbox of Ulla")])
    contents = ("zoe@example.net", "yan@example.net", "417.25", "Xaver", "wim@example.net", "vera", "mailbox of Ulla")
    path = form_url(Entry(pk=entry.id))
    html = site.get(path).content.decode()
    assert "Withheld" not in html
    assert all(text in html for text in contents)
    html = sign_in(member(role)).get(path).content.decode()
    assert not any(text in html for text in contents)
    assert html.count("Withheld. Only superusers read what was requested.") == 2 * 7  # in the facts and in the JSON
    assert "203.0.113.9" in html
    assert "203.0.113.10" in html


@cases("role", [SUPPORT, SAFETY])
def test_only_superusers_read_why_a_user_paused_an_agent(role: str, site: Client, world: World) -> None:
    pause_agent(actor=as_user(world.ada), consent=world.consent, reason="It scares Ada.")
    paths = [form_url(Entry(pk=log_entries()[0].id)), "/admin/audit/entry/", form_url(world.consent)]
    shown = [path for path in paths if "It scares Ada." in site.get(path).content.decode()]
    assert shown == paths[:1]
    browser = sign_in(member(role))
    assert not any("It scares Ada." in browser.get(path).content.decode() for path in paths)


def sentence_of(site: Client, entry_id: str) -> str:
    html = site.get(form_url(Entry(pk=entry_id))).content.decode()
    return words("<main" + html.split('admin__sentence">')[1].split("</h1>")[0]).replace(" .", ".")


def newest_sentence(site: Client) -> str:
    return sentence_of(site, log_entries()[0].id)


def test_the_sentence_about_an_agent_that_acts_for_no_person_names_none(site: Client, world: World) -> None:
    issued = issue_client_token(actor=ANONYMOUS, agent=world.agent, scopes=["email:read"])
    assert isinstance(issued, IssuedTokens)
    assert newest_sentence(site) == "SmartMail received tokens: Read your email."
    request = VerifyRequest(issued.access_token, ["email:read"], ANONYMOUS)
    decide([request])
    assert newest_sentence(site) == "SmartMail was allowed: Read your email."
    decide([request._replace(is_introspection=True)])
    assert newest_sentence(site) == "An unknown caller introspected a token of SmartMail."
    decide([request._replace(required_scopes=["email:send"])])
    assert newest_sentence(site) == "SmartMail was denied: Send email as you."
    revoke_token(actor=ANONYMOUS, token=issued.access_token)
    assert newest_sentence(site) == "An unknown caller revoked tokens of SmartMail."


def test_a_request_for_consent_that_expires_is_not_the_access_of_a_person(site: Client, world: World) -> None:
    ask(world.agent)
    Consent.objects.update(expires_at=clock.now())
    assert expire_requests() == 1
    assert newest_sentence(site) == "A request from SmartMail for consent expired before it was answered."
    assert expire_grants() == 1
    assert newest_sentence(site) == "The access of SmartMail expired."


def test_what_this_server_does_has_it_as_its_actor(site: Client, world: World) -> None:
    created = log_entries(event=Event.RESOURCE_SERVER_CREATED)[0]
    assert created.content["actor"]["kind"] == "system"
    assert sentence_of(site, created.id) == "This server registered a resource server of Acme."


def test_what_a_key_of_an_organization_does_has_its_name(site: Client, world: World) -> None:
    actor = as_developer(ANONYMOUS, world.developer)
    key = create_api_key(actor=actor, developer=world.developer, name="CI", owned_by_organization=True).row
    delete_policy(actor=as_key(ANONYMOUS, key, access_of_key(key)), policy=Policy.objects.get())
    entry = log_entries()[0]
    assert sentence_of(site, entry.id) == "The API key CI deleted the policy No payments."
    html = site.get(form_url(entry)).content.decode()
    assert "API key of an organization" in html
    listed = site.get(list_url(Entry), {"actor": key.id}).context["cl"].result_list
    assert [row.pk for row in listed] == [entry.id]


def test_a_policy_has_the_name_of_the_time_even_when_it_is_gone(site: Client, world: World) -> None:
    policy, actor = Policy.objects.get(), as_developer(ANONYMOUS, world.developer)
    update_policy(actor=actor, policy=policy, changes={"name": "No transfers"})
    delete_policy(actor=actor, policy=policy)
    events = (Event.POLICY_CREATED, Event.POLICY_UPDATED, Event.POLICY_DELETED)
    assert [sentence_of(site, log_entries(event=event)[0].id) for event in events] == [
        "dev@example.com created the policy No payments.",
        "dev@example.com changed the policy No transfers.",
        "dev@example.com deleted the policy No transfers.",
    ]


def test_a_reason_that_this_program_wrote_is_not_a_stated_one(site: Client, world: World) -> None:
    assert CAUSES.keys() == MACHINE_REASONS
    deletion.delete_agent(actor=as_developer(ANONYMOUS, world.developer), agent=world.agent)
    for event in (Event.AGENT_SUSPENDED, Event.CONSENT_REVOKED):
        html = site.get(form_url(Entry(pk=log_entries(event=event)[0].id))).content.decode()
        assert "Reason The agent was deleted. Actor" in words(html)
        assert "Stated reason" not in html
    assert "agent_deleted" not in words(site.get("/admin/audit/entry/").content.decode())


def test_names_of_others_and_of_rows_that_are_gone_are_only_text(site: Client, world: World) -> None:
    world.agent.name = "<script>%(person)s\u202e</script>"
    world.agent.save()
    (entry,) = write_drafts([decided(agent_id=world.agent.id, user_id="usr_gone", scopes=["%(agent)s"])])
    html = site.get(form_url(Entry(pk=entry.id))).content.decode()
    assert "<script>%" not in html
    assert "\u202e" not in html
    assert "was allowed: %(agent)s" in words(html)


def test_the_terms_of_a_consent_are_sentences(site: Client, world: World) -> None:
    target = {"type": "email_send", "identifiers": ["bob@example.com"]}
    terms = {
        "modes": {"email:read": "ask"},
        "limits": {"email:send": [calls(20, 3600)]},
        "guards": {"data_flow": "deny"},
    }
    terms["history"] = {"email:send": [["rate_limit", 60]]}  # type: ignore[dict-item]
    Consent.objects.filter(pk=world.consent.pk).update(terms={**terms, "targets": {"email:send": [target]}})
    text = words(site.get(form_url(world.consent)).content.decode())
    assert "the user is asked every time" in text
    assert (
        "At most 20 times per hour (each user separately), only for bob@example.com and a removed limit still counts"
        in text
    )
    assert "Data: nothing can leave" in text
    assert "max_requests" not in text


def test_a_consent_without_terms_says_nothing_about_them(site: Client, world: World) -> None:
    assert "Terms" not in words(site.get(form_url(world.consent)).content.decode())
