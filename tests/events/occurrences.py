"""How each event type comes into an organization's log: by an act of `tests.doors.acts`, or by a function here."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import time_machine

from agents.issued import end_issued
from agents.models import Agent
from agents.services import lift_agent_stop, stop_agent
from approvals.services import expire_pending
from audit.entries.drafts import prepare
from audit.events import Event
from audit.readers.reading import read_entry
from consent.disputes import Stop, dispute_activity
from consent.granting import approve_consent
from consent.models import Consent
from consent.services import expire_requests
from core import clock
from core.actor import SYSTEM, Actor
from decisions.requests import Decision, VerifyRequest
from decisions.services import decide
from developers import domains
from developers.acting import as_developer
from developers.domains import GRACE, check_domain, claim_domain, decline_review, recheck_domain, remove_domain
from developers.domains import request_review as ask_for_review
from developers.invitations import expire_invitations
from developers.models import Developer, DomainClaim, Organization
from developers.proofs import Found
from developers.services import reactivate_organization, suspend_organization, verify_organization
from developers.stopping import finish_deletion
from events.endings import switch_off
from events.models import Webhook
from limits.reservations import commit_reservation, lapse_reservations, void_reservation
from policies.models import Policy
from policies.services import create_policy
from resources.models import ResourceServer
from resources.services import rotate_resource_server_secret
from tests.audit.journals import decision, unchecked, write_unchecked
from tests.doors.acts import ACTS, Act
from tests.doors.conftest import Scene
from tests.log import log_entries
from tests.world import (
    ANONYMOUS,
    allow,
    as_user,
    ask,
    hand_over,
    let_delegate,
    make_agent,
    make_caller,
)
from tokens.delegations import end_delegation
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.models import Delegation
from tokens.refresh import refresh_tokens
from tokens.services import revoke_token

REQUEST = ANONYMOUS._replace(request_id="req_0190a8c2b7f37d3e9c64d1f0a2b5e871")
ADMINISTRATOR = Actor("administrator", "usr_0190a8c2b7f37d3e9c64d1f0a2b5e871")
REASON = "Reported by several users."
BLOCK = {"type": "action_blocklist", "config": {"actions": ["email:read"]}}
PRICE = {"amount": {"value": "19.90", "currency": "EUR"}}


def occur(event_type: str, scene: Scene) -> None:
    """Do what brings an event of the type into the log, unless the scene did already."""
    if event_type in BY_HAND:
        BY_HAND[event_type](scene)
    elif event_type in KNOCKS:
        _knock(KNOCKS[event_type], scene)


def _knock(act: Act, scene: Scene) -> None:
    """Do the act at the endpoint for programs or, where there is none, at the page."""
    if act.before:
        getattr(scene, act.before)()
    door = next((door for door in act.doors if not door.is_page), act.doors[0])
    answer = scene.knock(door, door.credentials[-1], signed_in_ago=timedelta(0))
    answer.getvalue()
    assert answer.status_code < 400, answer.content


def _organization(scene: Scene) -> Organization:
    return Organization.objects.get(pk=scene.ids["organization"])


def _agent(scene: Scene) -> Agent:
    return Agent.objects.get(pk=scene.ids["agent"])


def _member(scene: Scene) -> Actor:
    return as_developer(REQUEST, Developer.objects.get(pk=scene.ids["own"]))


def _server(scene: Scene) -> ResourceServer:
    return ResourceServer.objects.get(pk=scene.ids["server"])


def _as_agent(scene: Scene) -> Actor:
    return REQUEST.acting_as("agent", scene.ids["agent"])


def _allowed(scene: Scene, scopes: list[str]) -> str:
    """Let the user connect the agent again, and return the code."""
    consent = ask(_agent(scene), scopes=scopes, resource=[_server(scene).identifier])
    actor, now = as_user(scene.user), clock.now()
    return approve_consent(actor=actor, consent=consent, user=scene.user, signed_in_at=now).code


def _tokens(scene: Scene, *scopes: str) -> IssuedTokens:
    code = _allowed(scene, list(scopes) or ["email:read"])
    issued = exchange_code(actor=_as_agent(scene), agent=_agent(scene), code=code)
    assert isinstance(issued, IssuedTokens)
    return issued


def _refresh(scene: Scene) -> None:
    token = str(_tokens(scene).refresh_token)
    refresh_tokens(actor=_as_agent(scene), agent=_agent(scene), refresh_token=token)


def _revoke(scene: Scene) -> None:
    revoke_token(actor=_as_agent(scene), token=_tokens(scene).access_token, agent=_agent(scene))


def _replay(scene: Scene) -> None:
    code = _allowed(scene, ["email:read"])
    for _ in range(2):
        exchange_code(actor=_as_agent(scene), agent=_agent(scene), code=code)


def _verify(scene: Scene, **fields: Any) -> Decision:
    asked = {"resource": "mailbox/42", "credential": make_caller(_server(scene)), "actor": REQUEST, **fields}
    (decided,) = decide([VerifyRequest(token=_tokens(scene).access_token, required_scopes=["email:read"], **asked)])
    assert decided.allowed, decided
    return decided


def _introspect(scene: Scene) -> None:
    _verify(scene, is_introspection=True, resource=None)


def _shadow(scene: Scene) -> None:
    create_policy(
        actor=SYSTEM, organization=_organization(scene), name="No reading", rules=[BLOCK], mode=Policy.Mode.SHADOW
    )
    _verify(scene)


def _reserve(scene: Scene) -> dict[str, Any]:
    """Reserve an amount, and return what names the reservation to the service that asked."""
    reserved = _verify(scene, context=PRICE, reserve_seconds=600)
    return {"reservation_id": str(reserved.reservation_id), "server_id": scene.ids["server"]}


def _commit(scene: Scene) -> None:
    commit_reservation(actor=_as_service(scene), final_amount=None, **_reserve(scene))


def _void(scene: Scene) -> None:
    void_reservation(actor=_as_service(scene), **_reserve(scene))


def _lapse(scene: Scene) -> None:
    _reserve(scene)
    lapse_reservations(clock.now() + timedelta(hours=1))


def _as_service(scene: Scene) -> Actor:
    return REQUEST.acting_as("service", scene.ids["server"])


def _later(sweep: Callable[[], object]) -> Callable[[Scene], None]:
    """Return what does the work of a sweep 40 days later."""

    def run(scene: Scene) -> None:
        with time_machine.travel(clock.now() + timedelta(days=40)):
            sweep()

    return run


def _ask(scene: Scene) -> None:
    ask(_agent(scene))


def _replace(scene: Scene) -> None:
    allow(ask(_agent(scene), scopes=["email:read"]), scene.user)


def _dispute(scene: Scene) -> None:
    entry = read_entry(log_entries(event=Event.CONSENT_APPROVED, agent_id=scene.ids["agent"])[0])
    consent = Consent.objects.get(pk=scene.ids["consent"])
    dispute_activity(actor=as_user(scene.user), user=scene.user, entry=entry, consent=consent, stop=Stop.NOTHING)


def _suspend(scene: Scene) -> None:
    suspend_organization(actor=ADMINISTRATOR, organization=_organization(scene), reason=REASON)


def _reactivate(scene: Scene) -> None:
    _suspend(scene)
    reactivate_organization(actor=ADMINISTRATOR, organization=_organization(scene), reason="It was a mistake.")


def _verify_organization(scene: Scene) -> None:
    facts: dict[str, Any] = {"is_verified": True, "reason": "Checked the register."}
    verify_organization(actor=ADMINISTRATOR, organization=_organization(scene), **facts)


def _delete_organization(scene: Scene) -> None:
    scene.delete_organization()
    with time_machine.travel(clock.now() + timedelta(days=40)):
        finish_deletion(scene.ids["organization"])


def _refuse(scene: Scene) -> None:
    """Ask for what an auditor may not do."""
    Developer.objects.filter(pk=scene.ids["own"]).update(role="auditor")
    path = f"/api/v1/agents/{scene.ids['agent']}"
    answer = scene._client("API key", timedelta(0)).client.patch(
        path, {"name": "Mail"}, content_type="application/json"
    )
    assert answer.status_code == 403


def _stop(scene: Scene) -> None:
    stop_agent(actor=ADMINISTRATOR, agent=_agent(scene), reason=REASON)


def _lift(scene: Scene) -> None:
    _stop(scene)
    lift_agent_stop(actor=ADMINISTRATOR, agent=_agent(scene), reason="The developer has fixed it.")


def _end_server_secrets(scene: Scene) -> None:
    rotate_resource_server_secret(actor=_member(scene), server=_server(scene))
    end_issued(actor=as_user(scene.user), user=scene.user, since=clock.now() - timedelta(days=1))


def _claim(scene: Scene) -> DomainClaim:
    return claim_domain(actor=_member(scene), organization=_organization(scene), domain="acme.com")


def _prove(scene: Scene) -> DomainClaim:
    with patch.object(domains, "find_proof", return_value=Found("dns")):
        return check_domain(actor=_member(scene), claim=_claim(scene))


def _lose(scene: Scene) -> None:
    claim = _prove(scene)
    with patch.object(domains, "find_proof", return_value=Found("", "absent", "absent")):
        for later in (timedelta(hours=1), GRACE + timedelta(hours=2)):
            with time_machine.travel(clock.now() + later):
                recheck_domain(claim)


def _remove_domain(scene: Scene) -> None:
    _prove(scene)
    remove_domain(actor=_member(scene), organization=_organization(scene))


def _request_review(scene: Scene) -> None:
    _prove(scene)
    ask_for_review(actor=_member(scene), organization=_organization(scene))


def _decline_review(scene: Scene) -> None:
    _request_review(scene)
    decline_review(actor=ADMINISTRATOR, organization=_organization(scene), reason="The name is that of a bank.")


def _damage(scene: Scene) -> None:
    """Write an entry that the log cannot take."""
    about = {"user_id": scene.user.id, "agent_id": scene.ids["agent"], "consent_id": scene.ids["consent"]}
    (entry,) = prepare([decision(organization_id=scene.ids["organization"], **about)], clock.now())
    write_unchecked(unchecked(entry, scopes="email:read"))


def _disable_webhook(scene: Scene) -> None:
    rows = Webhook.objects.filter(pk=scene.ids["webhook"])
    switch_off(rows, actor=SYSTEM, now=clock.now(), reason=Webhook.Disabled.FAILING)


def _hand_over(scene: Scene) -> Delegation:
    """Hand reading of emails from the agent to another one of its organization, which redeems it."""
    token = _tokens(scene).access_token
    let_delegate(token)
    helper = make_agent(Developer.objects.get(pk=scene.ids["own"]), name="Summarizer")
    config = {"maxRequests": 10, "windowSeconds": 3600, "scope": "per_user"}
    limits = {"email:read": [{"type": "rate_limit", "config": config}]}
    delegation, _ = hand_over(token, helper, ["email:read"], limits=limits, task="Summarize the day")
    return delegation


def _end_delegation(scene: Scene) -> None:
    end_delegation(actor=as_user(scene.user), delegation=_hand_over(scene))


def _already(scene: Scene) -> None:
    """The scene has done it."""


KNOCKS = {act.event: act for act in ACTS}
BY_HAND: dict[str, Callable[[Scene], object]] = {
    Event.DELEGATION_CREATED: _hand_over,
    Event.DELEGATION_REDEEMED: _hand_over,
    Event.DELEGATION_ENDED: _end_delegation,
    Event.DEVELOPER_REGISTERED: _already,
    Event.CONSENT_REQUESTED: _ask,
    Event.CONSENT_EXPIRED: _later(expire_requests),
    Event.CONSENT_REPLACED: _replace,
    Event.USER_ACTIVITY_DISPUTED: _dispute,
    Event.APPROVAL_EXPIRED: _later(expire_pending),
    Event.TOKEN_ISSUED: _tokens,
    Event.TOKEN_REFRESHED: _refresh,
    Event.TOKEN_REVOKED: _revoke,
    Event.TOKEN_REPLAYED: _replay,
    Event.TOKEN_VERIFY: _verify,
    Event.TOKEN_INTROSPECTED: _introspect,
    Event.POLICY_SHADOWED: _shadow,
    Event.RESERVATION_COMMITTED: _commit,
    Event.RESERVATION_VOIDED: _void,
    Event.RESERVATION_LAPSED: _lapse,
    Event.ORGANIZATION_SUSPENDED: _suspend,
    Event.ORGANIZATION_REACTIVATED: _reactivate,
    Event.ORGANIZATION_VERIFIED: _verify_organization,
    Event.ORGANIZATION_DELETED: _delete_organization,
    Event.ORGANIZATION_REVIEW_REQUESTED: _request_review,
    Event.ORGANIZATION_REVIEW_DECLINED: _decline_review,
    Event.INVITATION_EXPIRED: _later(expire_invitations),
    Event.MEMBER_REFUSED: _refuse,
    Event.AGENT_STOPPED: _stop,
    Event.AGENT_STOP_LIFTED: _lift,
    Event.RESOURCE_SERVER_SECRET_REVOKED: _end_server_secrets,
    Event.DOMAIN_CLAIMED: _claim,
    Event.DOMAIN_PROVED: _prove,
    Event.DOMAIN_LOST: _lose,
    Event.DOMAIN_REMOVED: _remove_domain,
    Event.ENTRY_DAMAGED: _damage,
    Event.WEBHOOK_DISABLED: _disable_webhook,
}
