"""Admin actions: they ask for a reason, show what is affected, and are logged."""

from datetime import timedelta
from typing import Any

from django.db.models import Model
from django.http import HttpResponse
from django.test import Client

from accounts.models import User
from accounts.services import deactivate_user
from agents.deletion import delete_agent
from agents.models import Agent
from audit.models import Entry
from audit.readers.reading import read_entry
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.acting import as_developer
from developers.models import DomainClaim, Organization
from developers.services import suspend_organization
from policies.models import Policy
from policies.services import create_policy
from tests.administration.test_pages import form_url, list_url
from tests.administration.world import World, sign_in, staff
from tests.log import log_entries
from tests.shared import cases
from tests.world import ANONYMOUS, make_agent
from tokens.models import SigningKey, TokenFamily

REASON = "It sent mail to everybody."


def ask(site: Client, row: Model, action: str, **more: str) -> HttpResponse:
    """Start the action for one row and return the page that asks for a reason."""
    data = {"action": action, "_selected_action": row.pk, "index": "0", "select_across": "0", **more}
    return site.post(list_url(type(row)), data)


def confirm(site: Client, row: Model, action: str, reason: str = REASON) -> HttpResponse:
    """Submit the reason on the page that asks for it, and return the list page that follows."""
    chosen = {"action": action, "_selected_action": row.pk, "select_across": "0"}
    page = site.post(list_url(type(row)), chosen)
    decided_on = (page.context or {}).get("decided_on") or ""
    sent = {**chosen, "confirmed": "yes", "reason": reason, "decided_on": decided_on}
    return site.post(list_url(type(row)), sent, follow=True)


def test_an_action_on_no_row_says_what_to_do(site: Client, world: World) -> None:
    html = site.post(list_url(Agent), {"action": "stop", "index": "0"}, follow=True).content.decode()
    assert "Select at least one row." in html
    assert "Items must be selected" not in html


def test_several_harmful_actions_are_folded(site: Client, world: World) -> None:
    html = site.get(form_url(world.ada)).content.decode()
    head, folded = html.split('<details class="admin__more">')
    assert "/edit/" in head
    assert "/act/" not in head
    for name in ("deactivate", "remove_factors"):
        assert f'/act/{name}/">' in folded
    assert "admin__more" not in site.get(form_url(world.agent)).content.decode()


def newest_entry() -> Entry:
    entry = log_entries().first()
    assert entry is not None
    return entry


def verify(world: World) -> str | None:
    """Return why the agent's newest token is denied, or None if it is allowed."""
    token = world.tokens.access_token
    (decision,) = decide([VerifyRequest(token=token, required_scopes=["email:read"], actor=SYSTEM)])
    return decision.reason


def target(world: World, name: str) -> Any:
    return {
        "agent": world.agent,
        "organization": world.developer.organization,
        "user": world.ada,
        "consent": world.consent,
        "family": world.tokens.family,
    }[name]


@cases(
    ("row", "action", "sentences"),
    [
        (
            "agent",
            "stop",
            ["All requests are denied from now on, until an administrator lifts the stop. 1 person is cut"],
        ),
        ("organization", "suspend", ["This affects 1 agent. 1 person is cut off at once."]),
        ("user", "deactivate", ["This affects 1 connected agent and 1 API session."]),
        ("consent", "revoke", ["This affects 1 user and 1 agent."]),
        ("family", "revoke", ["This affects 1 user and 1 agent."]),
    ],
)
def test_the_page_shows_what_is_affected_and_changes_nothing(
    row: str, action: str, sentences: list[str], site: Client, world: World
) -> None:
    answer = ask(site, target(world, row), action)

    assert answer.status_code == 200
    for sentence in sentences:
        assert f"<p>{sentence}" in answer.content.decode()
    assert verify(world) is None


def test_disabling_policies_affects_the_agents_that_they_are_about(site: Client, world: World) -> None:
    actor, organization = as_developer(ANONYMOUS, world.developer), world.developer.organization
    others = [make_agent(world.developer, name=name) for name in ("Books", "Old")]
    delete_agent(actor=actor, agent=others[1])
    rules = [{"type": "action_blocklist", "config": {"actions": ["payments:*"]}}]
    own = create_policy(actor=actor, organization=organization, agent=world.agent, name="Own", rules=rules)
    assert "This affects 1 agent." in ask(site, own, "disable").content.decode()
    assert "This affects 2 agents." in ask(site, Policy.objects.get(agent=None), "disable").content.decode()


@cases(
    ("row", "action", "event", "verdict"),
    [
        ("agent", "stop", "agent.stopped", "agent_suspended"),
        ("organization", "suspend", "organization.suspended", "organization_suspended"),
        ("user", "deactivate", "user.deactivated", "user_inactive"),
        ("consent", "revoke", "consent.revoked", "consent_revoked"),
        ("family", "revoke", "token.revoked", "token_revoked"),
    ],
)
def test_stopping_applies_to_the_next_verify_and_is_logged_with_its_reason(
    row: str, action: str, event: str, verdict: str, site: Client, world: World
) -> None:
    answer = confirm(site, target(world, row), action)

    entry = newest_entry()
    assert "1 row changed." in answer.content.decode()
    assert entry.event == event
    assert entry.content["actor"] == {"kind": "administrator", "id": world.administrator.id}
    assert read_entry(entry).content["metadata"]["reason"] == REASON
    assert verify(world) == verdict


def test_lifting_a_stop_lets_the_agent_work_again(site: Client, world: World) -> None:
    confirm(site, world.agent, "stop")
    confirm(site, world.agent, "lift_stop", "It was a mistake.")

    assert newest_entry().event == "agent.stop_lifted"
    assert verify(world) is None


def test_an_organization_and_a_user_can_be_reactivated(site: Client, world: World) -> None:
    suspend_organization(actor=SYSTEM, organization=world.developer.organization, reason="test")
    deactivate_user(actor=SYSTEM, user=world.ada, reason="test")

    confirm(site, world.developer.organization, "reactivate")
    confirm(site, world.ada, "reactivate")

    assert verify(world) is None


def test_an_organization_can_be_verified_and_unverified(site: Client, world: World) -> None:
    organization = world.developer.organization
    for action, verified in (("verify", True), ("unverify", False)):
        confirm(site, organization, action)
        assert Organization.objects.get(pk=organization.pk).is_verified is verified
        assert newest_entry().content["metadata"] == {"verified": verified, "reason": REASON}


def test_an_organization_is_verified_only_with_the_domain_that_the_page_showed(site: Client, world: World) -> None:
    organization = world.developer.organization
    Organization.objects.filter(pk=organization.pk).update(domain="acme.com")
    chosen = {"action": "verify", "_selected_action": organization.pk, "select_across": "0"}
    page = site.post(list_url(Organization), chosen)
    assert "Acme is verified with acme.com." in page.content.decode()
    sent = {**chosen, "confirmed": "yes", "reason": REASON, "decided_on": page.context["decided_on"]}
    Organization.objects.filter(pk=organization.pk).update(domain="evil.com")

    again = site.post(list_url(Organization), sent)

    assert again.status_code == 422
    assert "This has changed since the page was shown." in again.content.decode()
    assert "Acme is verified with evil.com." in again.content.decode()
    assert not Organization.objects.get(pk=organization.pk).is_verified
    site.post(list_url(Organization), {**sent, "decided_on": again.context["decided_on"]})
    assert Organization.objects.get(pk=organization.pk).verified_with == "evil.com"


def test_requests_to_be_verified_are_a_queue_that_administrators_decide(site: Client, world: World) -> None:
    queue = "/admin/developers/organization/?domain_claim__review_asked_at__isempty=0"
    organization, claims = world.developer.organization, DomainClaim.objects.filter(name="acme.com")
    assert organization not in listed(site, queue)
    for action, event in (("decline", "organization.review_declined"), ("verify", "organization.verified")):
        claims.update(review_asked_at=clock.now())
        assert organization in listed(site, queue)
        confirm(site, organization, action)
        assert (newest_entry().event, claims.exclude(review_asked_at=None).exists()) == (event, False)
        assert newest_entry().content["metadata"]["reason"] == REASON
        assert organization not in listed(site, queue)
    again = confirm(site, organization, "decline").content.decode()
    assert "1 row stayed as it was: did not ask to be verified." in again


@cases(("method", "words"), [("dns", "DNS record"), ("file", "File on the website"), ("", "Nothing")])
def test_the_page_of_an_organization_says_what_is_known_about_its_domain(
    method: str, words: str, site: Client, world: World
) -> None:
    """On which the decision to verify it depends."""
    organization, at = world.developer.organization, clock.now() - timedelta(days=3)
    Organization.objects.filter(pk=organization.pk).update(domain="acme.com")
    known = {"proved_at": at, "checked_at": at + timedelta(days=2), "method": method, "review_asked_at": clock.now()}
    page = form_url(organization)
    assert "Not proved yet" in site.get(page).content.decode()
    DomainClaim.objects.filter(name="acme.com").update(**known)

    html = site.get(page).content.decode()

    domain = html[html.index('">Domain</h2>') :].split("</section>")[0]
    for text in ("acme.com", "Proved since", f"<dd>{words}</dd>", "Last check", "Asks to be verified since"):
        assert text in domain
    assert domain.count("<time") == 3
    assert "Not proved yet" not in domain


@cases(
    ("action", "lines"),
    [("suspend", ["1 agent", "1 person is cut off at once."]), ("verify", ["1 agent"])],
)
def test_deleted_agents_are_not_affected(action: str, lines: list[str], site: Client, world: World) -> None:
    fields = {"organization": world.developer.organization, "client_type": "confidential", "redirect_uris": "x"}
    Agent.objects.create(name="Old", authorization_grant_type="authorization-code", deleted_at=clock.now(), **fields)
    answer: Any = ask(site, world.developer.organization, action)
    assert answer.context_data["impact"][:2] == lines


def test_to_decline_affects_neither_agents_nor_tokens(site: Client, world: World) -> None:
    answer: Any = ask(site, world.developer.organization, "decline")
    assert answer.context_data["impact"] == []


def listed(site: Client, path: str) -> list[Any]:
    """Return the rows of a list."""
    answer: Any = site.get(path)
    return list(answer.context_data["cl"].result_list)


@cases("reason", ["", "   ", "\u200b\u2060\u3164", "x" * 301])
def test_an_invalid_reason_is_refused(reason: str, site: Client, world: World) -> None:
    answer = confirm(site, world.agent, "stop", reason)

    assert answer.status_code == 422
    assert verify(world) is None


def test_repeating_an_action_changes_and_logs_nothing(site: Client, world: World) -> None:
    confirm(site, world.agent, "stop")
    logged = log_entries().count()

    answer = confirm(site, world.agent, "stop")

    assert "1 row stayed as it was: already stopped." in answer.content.decode()
    assert log_entries().count() == logged


def test_all_rows_of_all_pages_can_be_selected(site: Client, world: World) -> None:
    fields = {"organization": world.developer.organization, "client_type": "confidential", "redirect_uris": "x"}
    Agent.objects.bulk_create(
        Agent(name=f"Agent {n}", authorization_grant_type="authorization-code", **fields) for n in range(60)
    )
    page = ask(site, world.agent, "stop", select_across="1").content.decode()
    data = {"action": "stop", "_selected_action": world.agent.pk, "select_across": "1"}

    site.post(list_url(Agent), {**data, "confirmed": "yes", "reason": REASON})

    assert "This affects 61 agents." in page
    assert not Agent.objects.filter(stopped_at=None).exists()


def test_an_action_on_rows_that_do_not_exist_asks_for_no_reason(site: Client, world: World) -> None:
    data = {"action": "stop", "_selected_action": "agt_" + "0" * 32, "select_across": "0"}
    answer = site.post(list_url(Agent), data, follow=True)
    assert answer.redirect_chain
    assert "None of the selected rows was found." in answer.content.decode()


def test_people_are_confirmed_by_their_address(site: Client, world: World) -> None:
    """Names are what people choose."""
    User.objects.filter(pk=world.ada.pk).update(name="root@example.com")
    assert world.ada.email in ask(site, world.ada, "deactivate").content.decode()


def test_a_consent_that_has_ended_is_not_changed(site: Client, world: World) -> None:
    Consent.objects.filter(pk=world.consent.pk).update(status="denied")

    answer = confirm(site, world.consent, "revoke")

    assert "1 row stayed as it was: not granted, or ended already." in answer.content.decode()
    assert Consent.objects.get(pk=world.consent.pk).status == "denied"


def test_rotating_twice_creates_one_key(site: Client, world: World) -> None:
    (old,) = SigningKey.objects.all()

    confirm(site, old, "rotate")
    confirm(site, old, "rotate")

    old.refresh_from_db()
    assert SigningKey.objects.count() == 2
    assert old.retires_at is not None
    assert newest_entry().event == "signing_key.created"
    assert verify(world) is None


def test_the_view_permission_does_not_allow_actions(world: World) -> None:
    confirm(sign_in(staff("agents.view_agent")), world.agent, "stop")

    assert not Agent.objects.get(pk=world.agent.pk).is_stopped


def test_the_change_permission_allows_stopping_agents(world: World) -> None:
    confirm(sign_in(staff("agents.view_agent", "agents.change_agent")), world.agent, "stop")

    assert verify(world) == "agent_suspended"


def test_revoking_a_family_does_not_revoke_others(site: Client, world: World) -> None:
    ended = world.tokens.family
    times = {"created_at": ended.created_at, "expires_at": ended.expires_at}
    other = TokenFamily.objects.create(application=world.agent, scope="", **times)

    confirm(site, ended, "revoke")

    assert TokenFamily.objects.get(pk=other.pk).revoked_at is None
