"""The overview of the developer portal: the first run, and the state of things after it."""

import re

import pytest

from agents.client_secrets import rotate_client_secret
from agents.services import stop_agent
from core import clock
from core.actor import SYSTEM
from decisions.requests import VerifyRequest
from decisions.services import decide
from decisions.wording import explain_denial
from developers.acting import as_developer as acting_for
from developers.domains import claim_domain, request_review
from developers.models import DomainClaim
from developers.services import verify_organization
from insights.services import count_log
from policies.models import Policy
from policies.services import create_policy, delete_policy
from tests.log import log_entries
from tests.oauth.client import make_client
from tests.shared import cases
from tests.web.markup import text_of
from tests.world import ANONYMOUS, allow, make_agent, make_grant, sign_in
from tests.world import ask as ask_for

DONE = re.compile(r"(\d) of 4 done")
QUIET = [{"type": "action_blocklist", "config": {"actions": ["email:send"]}}]


def done(client, path="/developer/"):
    return DONE.findall(text_of(client, path))


@pytest.fixture
def grant(db):
    return make_grant(email="eve@example.com", developer="owner@example.com", scopes=["email:read", "email:send"])


@pytest.fixture
def owner(grant):
    return grant.agent.organization.developers.get()


@pytest.fixture
def portal(owner):
    return sign_in(owner.user)


def ask(grant, *scopes):
    for scope in scopes:
        decide([VerifyRequest(grant.access_token, [scope], ANONYMOUS)])


def test_each_step_is_done_once_the_log_shows_it(as_developer, developer, ada):
    assert done(as_developer) == ["0"]
    client = make_client(developer, allowed_scopes=["email:read"])
    assert done(as_developer) == ["1"]
    quickstart = f"/developer/agents/{client.agent.id}/quickstart"
    as_developer.post(quickstart.replace("quickstart", "try"), {"decision": "deny"})
    assert done(as_developer) == ["1"]
    allow(ask_for(client.agent, scopes=["email:read"]), ada)
    assert (done(as_developer), done(as_developer, quickstart)) == (["2"], ["2"])
    make_agent(developer, name="Other")
    assert done(as_developer) == ["2"]


def test_the_first_run_goes_on_with_another_agent_if_none_is_active(as_developer, developer):
    agent = make_agent(developer)
    assert "You have no active agent now." not in text_of(as_developer, "/developer/")
    assert as_developer.post(f"/developer/agents/{agent.id}/suspend").status_code == 303
    page = text_of(as_developer, "/developer/")
    assert "1 of 4 done" in page
    assert "You have no active agent now." in page
    assert f'<a class="button button--primary" href="{as_developer.home}/agents/new">New agent</a>' in page
    make_agent(developer, name="Other")
    assert "You have no active agent now." not in text_of(as_developer, "/developer/")


def test_the_first_run_ends_with_the_first_call_of_verify(portal, grant):
    assert done(portal) == ["3"]
    ask(grant, "email:read")
    assert done(portal) == []
    assert "Recent denials" in text_of(portal, "/developer/")
    assert done(portal, f"/developer/agents/{grant.agent.id}/quickstart") == ["4"]
    fresh = make_agent(grant.agent.organization.developers.get(), name="Fresh")
    assert done(portal, f"/developer/agents/{fresh.id}/quickstart") == ["1"]


def test_a_trial_is_not_a_call_of_verify(portal, grant):
    try_it = f"/developer/agents/{grant.agent.id}/try"
    assert portal.post(try_it, {"decision": "allow", "scopes": ["email:read"]}).status_code == 200
    assert done(portal) == ["3"]


def test_denials_are_explained(portal, owner, grant):
    actor = acting_for(ANONYMOUS, owner)
    create_policy(actor=actor, organization=owner.organization, name="Quiet hours", rules=QUIET)
    ask(grant, "email:send", "payments:charge")
    text = text_of(portal, "/developer/")
    policy = Policy.objects.get()
    assert f'Policy <a href="{portal.home}/policies/{policy.id}"><bdi>Quiet hours</bdi></a>' in text
    assert "2 times" not in text
    ask(grant, "email:send")
    assert "2 times" in text_of(portal, "/developer/")
    delete_policy(actor=actor, policy=policy)
    assert "Policy <bdi>Quiet hours</bdi>" in text_of(portal, "/developer/")
    assert "The permission had not been granted." in text
    assert "No scope covers the action." not in text
    decide([VerifyRequest(grant.access_token, ["email:read"], ANONYMOUS, action="payments:refund")])
    assert "No scope covers the action." in text_of(portal, "/developer/")


@cases(
    ("reason", "metadata", "remedy"),
    [
        ("approval_required", {"approvalStatus": "pending"}, "then send the same request again"),
        ("approval_required", {"approvalStatus": "denied"}, "Do not send it again"),
        ("approval_required", {"retryAfterSeconds": 60}, "and this one later"),
        ("insufficient_scope", {"missingScopes": ["email:send"]}, "Ask for it again"),
        ("insufficient_scope", {}, "let one of them cover it"),
        ("policy_denied", {}, "Change the request, or the policy."),
        ("policy_denied", {"retryAfterSeconds": 60}, "It may be sent again after 60 seconds."),
        ("policy_denied", {"limitedBy": "user"}, "so that it is within the limit"),
        (
            "policy_denied",
            {"limitedBy": "user", "retryAfterSeconds": 60},
            "It may be sent again after 60 seconds. Only the user",
        ),
    ],
)
def test_a_remedy_fits_the_state(reason, metadata, remedy):
    assert remedy in str(explain_denial(reason, metadata).remedy)


def test_what_needs_attention_links_to_its_rows(portal, owner, grant):
    ask(grant, "email:read")
    assert f'<a href="{portal.home}/settings/domain">Consent screens warn users' in text_of(portal, "/developer/")
    assert "Prove a domain." in text_of(portal, "/developer/")
    claim = claim_domain(actor=SYSTEM, organization=owner.organization, domain="acme-robots.com")
    DomainClaim.objects.filter(pk=claim.pk).update(proved_at=clock.now())
    assert "Ask to be verified." in text_of(portal, "/developer/")
    request_review(actor=SYSTEM, organization=owner.organization)
    assert "An administrator of AgentGate decides." in text_of(portal, "/developer/")
    verify_organization(actor=SYSTEM, organization=owner.organization, is_verified=True, reason="papers seen")
    assert "Nothing." in text_of(portal, "/developer/")
    actor = acting_for(ANONYMOUS, owner)
    create_policy(actor=actor, organization=owner.organization, name="Quiet", rules=QUIET, mode="shadow")
    for _ in range(3):
        rotate_client_secret(actor=actor, agent=grant.agent, overlap_seconds=3600)
    stop_agent(actor=SYSTEM, agent=make_agent(owner, name="Stopped"), reason="Spam")
    text = text_of(portal, "/developer/")
    assert ">Stopped was stopped by an administrator of AgentGate just now.</a>" in text
    assert "1 policy only records what it would deny." in text
    assert "A client secret of <bdi>SmartMail</bdi> stops working on" in text
    assert "others follow within a week." in text
    assert f'href="{portal.home}/agents/{grant.agent.id}/credentials"' in text
    stop_agent(actor=SYSTEM, agent=make_agent(owner, name="Halted"), reason="Spam")
    assert "2 agents were stopped by an administrator of AgentGate, the last one just now." in text_of(
        portal, "/developer/"
    )
    assert "Stopped" in text_of(portal, "/developer/agents?status=stopped")


def test_the_figures_are_those_of_the_organization(portal, grant, rival):
    ask(grant, "email:read", "email:read", "payments:charge")
    make_agent(rival)
    log_entries()
    count_log()
    page = text_of(portal, "/developer/")
    assert 'aria-label="Bars of the decisions of the last 24 hours, by outcome."' in page
    shown = re.findall(r'class="figure"><a href="([^"]*)">([^<]*)</a>', page)
    assert [number for _, number in shown] == ["1", "0", "2", "1"]
    for url, number in shown[2:]:
        assert text_of(portal, url.replace("&amp;", "&")).count("log__time") == int(number)


def test_the_quickstart_of_a_foreign_agent_is_absent(as_rival, grant):
    assert as_rival.get(f"/developer/agents/{grant.agent.id}/quickstart").status_code == 404


def test_the_program_has_the_real_ids_and_no_secret(portal, grant):
    text = text_of(portal, f"/developer/agents/{grant.agent.id}/quickstart?language=python")
    assert f'client_id="{grant.agent.client_id}"' in text
    assert 'os.environ["AGENTGATE_CLIENT_SECRET"]' in text
    assert 'aria-current="page" data-live>Python</a>' in text
    assert "AgentGateVerifier" not in text


def test_the_program_for_a_terminal_has_no_comments(portal):
    """An interactive zsh runs `#` as a command."""
    lines = portal.get("/developer/").context["sample"].text.splitlines()
    assert not [line for line in lines if line.lstrip().startswith("#")]
    assert sum(line.startswith(": ") for line in lines) == 4


def test_the_program_authenticates_the_service_where_verify_requires_it(portal, grant, settings):
    settings.VERIFY_REQUIRES_CREDENTIAL = True
    path = f"/developer/agents/{grant.agent.id}/quickstart"
    assert "AGENTGATE_RESOURCE_SERVER_SECRET" in text_of(portal, path)
    assert "AgentGateVerifier" in text_of(portal, f"{path}?language=python")


def test_what_an_agent_lacks_is_said_in_place_of_the_program(portal, owner):
    agent = make_agent(owner, allowed_scopes=[])
    text = text_of(portal, f"/developer/agents/{agent.id}/quickstart")
    assert "The agent needs a scope and a redirect URI first." in text
