"""Delegations: an agent hands a part of what it may do to another agent, which redeems a token for it once.

A delegation only narrows, and each call decides what it may do at that time (`tokens.chains`). So the checks here only
give clear errors early.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_noop

from agents.emergency import require_running
from agents.models import Agent
from agents.selectors import agent_for_client_id
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import append
from consent.models import Consent
from consent.targets import Pick
from core import clock, secrets
from core.actor import Actor
from core.chains import MAX_DEPTH
from core.errors import Invalid
from core.ids import new_id
from core.locks import after_decisions, revocation, share_grants, write_transaction
from core.wording import Filled
from developers.acting import hold_developer
from limits.throttle import Subject, Throttle
from resources.audiences import Service, held_among, services_of
from resources.errors import InvalidScope
from tokens.access_tokens import read_access_token
from tokens.bounds import settle_limits, settle_targets
from tokens.chains import Handover, is_permitted, links_of, narrow_targets, read_chain
from tokens.delegated_approvals import end_unreachable
from tokens.errors import DelegationNotAllowed, InvalidGrant
from tokens.families import problem_with_delegation, problem_with_grant
from tokens.issuing import granted_scopes
from tokens.models import AccessToken, Delegation, TokenFamily

LIFETIME = timedelta(hours=1)
MAX_LIFETIME = timedelta(days=1)
TOKEN_LIFETIME = timedelta(seconds=60)
# Of one connection, at a time. The last tenth of them is kept for its agent, so that no other one fills all places.
MAX_LIVE = 1000
KEPT = 10
# Whatever `THROTTLE_DELEGATE` allows: creating one counts those that are live among all of a day. It is for the agent
# of a connection and, apart from that, for all below. What is below one delegation has less.
PER_DAY, PER_DAY_BELOW = "10000/day", "2500/day"

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

    Raises `InvalidGrant`, `InvalidScope`, `TargetNotHeld`, `Invalid`, `DelegationNotAllowed` and `EverythingStopped`.
    """
    share_grants()
    consent, family, chain = _lock_own(agent, token)
    now = clock.now()
    receiver = agent_for_client_id(wanted.to)
    if receiver is None or not _may_hand_over(consent, family, chain, receiver):
        raise DelegationNotAllowed(NOT_PERMITTED)
    _require_scopes(wanted.scopes, granted_scopes(family, family.scope.split(), chain), receiver)
    scopes = list(dict.fromkeys(wanted.scopes))
    expires_at = _end(family, consent, chain, now + wanted.lifetime)
    if expires_at <= now:
        raise InvalidGrant(NO_TOKEN)
    require_running()
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
        scopes=scopes,
        targets=settle_targets(wanted.targets, narrow_targets(chain, consent.targets, scopes), scopes),
        limits=settle_limits(wanted.limits, scopes),
        task=_task(chain, wanted.task),
        token_digest=secrets.digest(new_token),
        token_expires_at=min(now + TOKEN_LIFETIME, expires_at),
        created_at=now,
        expires_at=expires_at,
    )
    _require_room(consent, now, is_first=not chain)
    record_delegation(Event.DELEGATION_CREATED, actor=actor, delegation=delegation, now=now)
    return Delegated(delegation, new_token)


def throttle_delegations(agent: Agent, token: str) -> None:
    """Count a new delegation of the connection for which the access token is. Raises `Throttled`.

    What is handed on below one delegation counts by itself: an agent there, even one that was cut off, must not keep
    the others from handing work on. Call it before `create_delegation`. It does nothing for a token that is not the
    agent's: that hands nothing over.
    """
    claims = read_access_token(token)
    if claims is None:
        return
    families = TokenFamily.objects.filter(application=agent, access_tokens=claims.token_id)
    found = families.exclude(consent=None).values_list("consent__agent_id", "user_id", "delegation__path").first()
    if not found:
        return
    root, user, path = found
    often, daily = Throttle("delegate", settings.THROTTLE_DELEGATE), Throttle("delegate-daily", PER_DAY)
    if not path:
        connection = Subject(f"connection:{root}:{user}")
        often.hit(connection)
        daily.hit(connection)
        return
    branch = Subject(f"delegation:{path[0]}")
    often.hit(branch)
    Throttle("delegate-below", PER_DAY_BELOW).hit(branch)
    daily.hit(Subject(f"below:{root}:{user}"))


def end_delegation(*, actor: Actor, delegation: Delegation, reason: str = "") -> Delegation:
    """End a delegation and with it all below it. Ending it twice changes nothing. Administrators state a `reason`."""
    with revocation():
        hold_developer(actor, may_be_deleting=True)
        now = clock.now()
        if Delegation.objects.filter(pk=delegation.pk, ended_at=None).update(ended_at=now):
            delegation.ended_at = now
            metadata = {"reason": reason} if reason else None
            record_delegation(Event.DELEGATION_ENDED, actor=actor, delegation=delegation, now=now, metadata=metadata)
            after_decisions(partial(end_unreachable, delegation.consent_id, now))
    delegation.refresh_from_db()
    return delegation


def record_delegation(
    event: Event, *, actor: Actor, delegation: Delegation, now: datetime, metadata: Mapping[str, Any] | None = None
) -> None:
    append([draft_delegation(event, actor=actor, delegation=delegation, metadata=metadata)], at=now)


def draft_delegation(
    event: Event,
    *,
    actor: Actor,
    delegation: Delegation,
    metadata: Mapping[str, Any] | None = None,
    services: Sequence[Service] | None = None,
    chain: Sequence[Handover] | None = None,
) -> Draft:
    """Return the entry of an event of a delegation. Limits and targets are personal: they can name people.

    The services that it reaches and its chain are read unless they are passed.
    """
    receiver = delegation.to_agent
    if services is None:
        services = services_of(delegation.from_family.resource_owners.items())
    if chain is None:
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
    """Return what each reader of the chain sees. Of the limits, that is only their types (`consent.terms.outline`)."""
    types = {scope: [rule["type"] for rule in rules] for scope, rules in delegation.limits.items()}
    return {
        **({"limits": types} if types else {}),
        "parentId": delegation.parent_id,
        "fromFamilyId": delegation.from_family_id,
        "expiresAt": clock.rfc3339(delegation.expires_at),
        "maxDepth": delegation.max_depth,
    }


def _lock_own(agent: Agent, token: str) -> tuple[Consent, TokenFamily, list[Handover]]:
    """Lock the connection, and return it with the family of the agent's live token and its chain.

    Raises `InvalidGrant`.
    """
    claims = read_access_token(token)
    now = clock.now()
    row = claims and AccessToken.objects.filter(pk=claims.token_id, application=agent, expires__gt=now).first()
    if not row:
        raise InvalidGrant(NO_TOKEN)
    family = _read_family(row.family_id)
    # A later consent may replace it meanwhile, and then the family is that one's.
    locked = None
    while family.consent_id is not None and family.consent_id != locked:
        locked = Consent.objects.select_for_update(no_key=True).get(pk=family.consent_id).pk
        family = _read_family(row.family_id)
    chain = read_chain(family.delegation) if family.delegation else []
    problem = _problem(family, chain, clock.now())
    if problem or family.consent is None:
        raise InvalidGrant(problem or NO_TOKEN)
    return family.consent, family, chain


def _read_family(family_id: str) -> TokenFamily:
    related = ("consent__agent__organization", "consent__user", "delegation", "application__organization")
    family: TokenFamily = TokenFamily.objects.select_related(*related).get(pk=family_id)
    if family.delegation:
        family.delegation.to_agent = family.application
    return family


def _problem(family: TokenFamily, chain: Sequence[Handover], now: datetime) -> str | None:
    """Return why the agent of the family may not hand anything over now, or None if it may."""
    if family.consent_id is None or family.revoked_at is not None or family.expires_at <= now:
        return NO_TOKEN
    problem = problem_with_delegation(family.delegation, chain, now) if family.delegation else None
    services = services_of(family.resource_owners.items())
    held = held_among(family.resource, services)
    return problem or problem_with_grant(family.consent, held, services, now)


def _may_hand_over(consent: Consent, family: TokenFamily, chain: Sequence[Handover], receiver: Agent) -> bool:
    """Return whether the user lets the chain go on to the agent: once only, and if its organization is covered."""
    root, organization = consent.agent.organization_id, receiver.organization
    if receiver.pk in {family.application_id, *(each.agent_id for each in chain)} or organization is None:
        return False
    both = (family.application, receiver)
    return all(agent.is_confidential and agent.organization_id and agent.may_act for agent in both) and is_permitted(
        consent.delegation, root, organization.id, is_verified=organization.is_verified
    )


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


def _require_room(consent: Consent, now: datetime, *, is_first: bool) -> None:
    """Raise `DelegationNotAllowed` if the connection, which is locked, has too many.

    `is_first` is whether its own agent hands over.
    """
    most = MAX_LIVE if is_first else MAX_LIVE - MAX_LIVE // KEPT
    unended = _unended(now).filter(consent=consent)
    if unended[: most + 1].count() > most and _live(unended)[: most + 1].count() > most:
        text = gettext_noop("At most %(most)d delegations of a connection can be live at a time.")
        raise DelegationNotAllowed(Filled(text, most=most))


def live_delegations(now: datetime) -> QuerySet[Delegation]:
    """Return the delegations that were redeemed or still can be, and have not ended with anything above them."""
    return _live(_unended(now)).order_by("id")


def _unended(now: datetime) -> QuerySet[Delegation]:
    redeemable = Q(redeemed_at__isnull=False) | Q(token_expires_at__gt=now)
    return Delegation.objects.filter(redeemable, ended_at=None, expires_at__gt=now)


def _live(delegations: QuerySet[Delegation]) -> QuerySet[Delegation]:
    revoked = TokenFamily.objects.filter(delegation=OuterRef("pk"), revoked_at__isnull=False)
    above: dict[str, None] = {}
    for prefix in ("parent__" * up for up in range(MAX_DEPTH)):
        above |= {f"{prefix}ended_at": None, f"{prefix}from_family__revoked_at": None}
    return delegations.filter(~Exists(revoked), **above)
