"""Delegations: an agent hands a part of what it may do to another agent, which redeems a token for it once.

A delegation only narrows, and what it may do is decided anew at each call (`tokens.chains`). So the checks here only
give clear errors early.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.utils.translation import gettext_noop

from agents.models import Agent
from agents.selectors import agent_for_client_id
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import append
from consent.models import Consent
from consent.targets import Pick
from core import clock, secrets
from core.actor import Actor
from core.errors import Invalid
from core.ids import new_id
from core.locks import revocation, share_grants, write_transaction
from core.wording import Filled
from resources.audiences import services_of
from resources.errors import InvalidScope
from tokens.access_tokens import read_access_token
from tokens.chains import MAX_DEPTH, Handover, is_chain_live, is_permitted, links_of, read_chain
from tokens.errors import DelegationNotAllowed, InvalidGrant
from tokens.families import problem_with_grant
from tokens.issuing import granted_scopes
from tokens.models import AccessToken, Delegation, TokenFamily

LIFETIME = timedelta(hours=1)
MAX_LIFETIME = timedelta(days=1)
TOKEN_LIFETIME = timedelta(seconds=60)
# Of one connection, at a time.
MAX_LIVE = 1000

NO_TOKEN = "Send a live access token of this agent, which acts for a user."
NOT_PERMITTED = gettext_noop("The user does not let this agent hand work to that one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an agent wants to hand to the client `to`. Without `targets`, these are all that it has itself."""

    to: str
    scopes: Sequence[str]
    targets: Sequence[Pick] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    lifetime: timedelta = LIFETIME
    max_depth: int | None = None
    task: str = ""


@dataclass(frozen=True, slots=True)
class Delegated:
    """A new delegation and its token, which is shown once."""

    delegation: Delegation
    token: str

    def __repr__(self) -> str:
        return f"Delegated({self.delegation.id})"


@write_transaction()
def create_delegation(*, actor: Actor, agent: Agent, token: str, wanted: Wanted) -> Delegated:
    """Hand a part of what the agent may do to another one. `token` is a live access token of the agent.

    Raises `InvalidGrant`, `InvalidScope`, `InvalidTarget`, `Invalid` and `DelegationNotAllowed`.
    """
    share_grants()
    family, chain = _lock_own(agent, token)
    now = clock.now()
    receiver = agent_for_client_id(wanted.to)
    consent = family.consent
    if receiver is None or consent is None or not _may_receive(receiver, family, chain):
        raise DelegationNotAllowed(NOT_PERMITTED)
    _require_scopes(wanted.scopes, _held(family, chain), receiver)
    new_token = secrets.new_secret("dlg")
    delegation_id = new_id("del")
    delegation = Delegation.objects.create(
        id=delegation_id,
        consent=consent,
        user_id=family.user_id,
        parent_id=chain[-1].delegation_id if chain else None,
        from_family=family,
        from_agent=agent,
        to_agent=receiver,
        path=[*(each.delegation_id for each in chain), delegation_id],
        max_depth=_depth(family, chain, wanted.max_depth),
        scopes=list(dict.fromkeys(wanted.scopes)),
        targets={},
        limits=dict(wanted.limits),
        task=_task(chain, wanted.task),
        token_digest=secrets.digest(new_token),
        token_expires_at=now + TOKEN_LIFETIME,
        created_at=now,
        expires_at=_end(family, consent, chain, now + wanted.lifetime),
    )
    _require_room(consent, now)
    record_delegation(Event.DELEGATION_CREATED, actor=actor, delegation=delegation, now=now)
    return Delegated(delegation, new_token)


def end_delegation(*, actor: Actor, delegation: Delegation) -> Delegation:
    """End a delegation and with it all below it. Ending it twice changes nothing."""
    with revocation():
        now = clock.now()
        if Delegation.objects.filter(pk=delegation.pk, ended_at=None).update(ended_at=now):
            delegation.ended_at = now
            record_delegation(Event.DELEGATION_ENDED, actor=actor, delegation=delegation, now=now)
    delegation.refresh_from_db()
    return delegation


def record_delegation(
    event: Event, *, actor: Actor, delegation: Delegation, now: datetime, metadata: Mapping[str, Any] | None = None
) -> None:
    append([draft_delegation(event, actor=actor, delegation=delegation, metadata=metadata)], at=now)


def draft_delegation(
    event: Event, *, actor: Actor, delegation: Delegation, metadata: Mapping[str, Any] | None = None
) -> Draft:
    """Return the entry of an event of a delegation. Limits and targets are personal: they can name people."""
    receiver = delegation.to_agent
    services = services_of(delegation.from_family.resource_owners.items())
    chain = read_chain(delegation)
    is_new = event is Event.DELEGATION_CREATED
    terms = {name: part for name in ("limits", "targets") if (part := getattr(delegation, name))}
    personal = {"terms": terms, "task": delegation.task} if is_new else {}
    return Draft(
        event=event,
        actor=actor,
        organization_id=receiver.organization_id,
        service_organization_ids=[service.organization_id for service in services],
        user_id=delegation.user_id,
        agent_id=receiver.id,
        consent_id=delegation.consent_id,
        scopes=delegation.scopes,
        metadata={**(_describe(delegation) if is_new else {}), **(metadata or {})},
        personal={name: value for name, value in personal.items() if value},
        chain=links_of(chain, receiver.id, receiver.organization_id),
    )


def _describe(delegation: Delegation) -> dict[str, Any]:
    return {
        "parentId": delegation.parent_id,
        "fromFamilyId": delegation.from_family_id,
        "expiresAt": clock.rfc3339(delegation.expires_at),
        "maxDepth": delegation.max_depth,
    }


def _lock_own(agent: Agent, token: str) -> tuple[TokenFamily, list[Handover]]:
    """Lock the connection, and return the family of the agent's live token with its chain. Raises `InvalidGrant`."""
    claims = read_access_token(token)
    now = clock.now()
    row = claims and AccessToken.objects.filter(pk=claims.token_id, application=agent, expires__gt=now).first()
    if not row:
        raise InvalidGrant(NO_TOKEN)
    families = TokenFamily.objects.select_related("consent__agent__organization", "consent__user", "delegation")
    family: TokenFamily = families.select_related("application__organization").get(pk=row.family_id)
    if family.consent_id is None:
        raise InvalidGrant(NO_TOKEN)
    # A later consent may have replaced it, which has moved the family meanwhile: the newest one is the connection.
    Consent.objects.select_for_update(no_key=True).get(pk=family.consent_id)
    family = families.select_related("application__organization").get(pk=row.family_id)
    chain = read_chain(family.delegation) if family.delegation else []
    problem = _problem(family, chain, now)
    if problem:
        raise InvalidGrant(problem)
    return family, chain


def _problem(family: TokenFamily, chain: Sequence[Handover], now: datetime) -> str | None:
    if family.revoked_at is not None or family.expires_at <= now:
        return NO_TOKEN
    if family.delegation and not is_chain_live(family.delegation.path, chain, now):
        return "The delegation by which this agent acts has ended."
    services = services_of(family.resource_owners.items())
    return problem_with_grant(family.consent, family.resource, services, now)


def _may_receive(receiver: Agent, family: TokenFamily, chain: Sequence[Handover]) -> bool:
    """Return whether the user lets the chain go on to the agent: once only, and if its organization is covered."""
    root = family.consent.agent if family.consent else None
    if root is None or receiver.pk in {family.application_id, *(each.agent_id for each in chain)}:
        return False
    organization = receiver.organization
    return (
        receiver.may_act
        and receiver.is_confidential
        and organization is not None
        and is_permitted(
            family.consent.delegation if family.consent else "",
            root.organization_id,
            organization.id,
            is_verified=organization.is_verified,
        )
    )


def _held(family: TokenFamily, chain: Sequence[Handover]) -> tuple[str, ...]:
    return granted_scopes(family, family.scope.split(), chain)


def _require_scopes(scopes: Sequence[str], held: Collection[str], receiver: Agent) -> None:
    beyond = [scope for scope in scopes if scope not in held]
    if beyond or not scopes:
        text = gettext_noop("This agent does not have these scopes now: %(scopes)s.")
        raise InvalidScope(Filled(text, scopes=", ".join(beyond)))
    lacking = [scope for scope in scopes if scope not in receiver.allowed_scopes]
    if lacking:
        text = gettext_noop("The other agent may not have these scopes: %(scopes)s.")
        raise InvalidScope(Filled(text, scopes=", ".join(lacking)))


def _depth(family: TokenFamily, chain: Sequence[Handover], wanted: int | None) -> int:
    """Return the longest path that the new delegation allows. Raises `DelegationNotAllowed`, `Invalid`."""
    most = family.delegation.max_depth if family.delegation else MAX_DEPTH
    depth = len(chain) + 1
    if depth > most:
        raise DelegationNotAllowed(gettext_noop("The work may not be handed on any further."))
    if wanted is not None and not depth <= wanted <= most:
        text = gettext_noop("Must be from %(depth)d, the depth of this delegation, to %(most)d.")
        raise Invalid.field("maxDepth", Filled(text, depth=depth, most=most))
    return most if wanted is None else wanted


def _task(chain: Sequence[Handover], wanted: str) -> str:
    """Return the task of the new delegation. What is handed on stays in its task."""
    task = chain[-1].task if chain else ""
    if task and wanted not in ("", task):
        raise Invalid.field("task", gettext_noop("What was handed over for a task can only be handed on for the same."))
    return task or wanted


def _end(family: TokenFamily, consent: Consent, chain: Sequence[Handover], wanted: datetime) -> datetime:
    ends = min([wanted, family.expires_at, consent.expires_at, *(each.expires_at for each in chain)])
    return ends.replace(microsecond=0)


def _require_room(consent: Consent, now: datetime) -> None:
    """Raise `DelegationNotAllowed` if the connection, which is locked, has too many."""
    if live_delegations(now).filter(consent=consent).count() > MAX_LIVE:
        text = gettext_noop("At most %(most)d delegations of a connection can be live at a time.")
        raise DelegationNotAllowed(Filled(text, most=MAX_LIVE))


def live_delegations(now: datetime) -> Any:
    """Return the delegations that are not marked as ended, have not expired, and were redeemed or still can be."""
    redeemable = Q(redeemed_at__isnull=False) | Q(token_expires_at__gt=now)
    return Delegation.objects.filter(redeemable, ended_at=None, expires_at__gt=now).order_by(F("id"))
