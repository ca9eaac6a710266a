"""Claim and prove the domain of an organization, check its proof again, and ask administrators to verify it.

The checks use the network, so they are outside transactions. What they found is recorded only if the claim is still
the one that was checked.
"""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.notices import add_notice
from audit.entries.drafts import Draft
from audit.events import Event
from audit.services import record
from core import clock
from core.actor import SYSTEM, Actor
from core.errors import Conflict, Invalid, NotFound
from core.locks import hold_decisions
from core.wording import Filled
from developers.acting import hold_developer
from developers.domain_holders import claim_of_host
from developers.domain_names import UnusableDomain, canonical_domain
from developers.models import DomainClaim, Organization
from developers.proofs import Found, find_proof
from developers.selectors import members_of
from developers.services import hold_organizations
from developers.signals import domain_proved
from limits.throttle import Subject, Throttle

CHECKS = "20/hour"
TOKEN_BYTES = 20
CHECK_EVERY = timedelta(days=1)
RETRY_AFTER = timedelta(hours=1)
# How long a proof may be missing before the domain is lost.
GRACE = timedelta(days=3)


class DomainTaken(Conflict):
    """Another organization has proved the domain, and its proof is still there."""

    title = gettext_noop("Another organization has proved this domain")


def claim_domain(*, actor: Actor, organization: Organization, domain: str) -> DomainClaim:
    """Start to prove a domain. Raises `Invalid`, and `Conflict` if the organization has claimed one already."""
    try:
        name = canonical_domain(domain)
    except UnusableDomain as error:
        raise Invalid.field("domain", error.args[0]) from error
    fields = {"name": name, "token": secrets.token_hex(TOKEN_BYTES), "created_at": clock.now()}
    try:
        with transaction.atomic():
            hold_developer(actor)
            claim = DomainClaim.objects.create(organization=organization, **fields)
            _record(Event.DOMAIN_CLAIMED, actor, claim)
    except IntegrityError as error:
        raise Conflict(gettext_noop("Your organization has a domain already. Remove it first.")) from error
    return claim


def check_domain(*, actor: Actor, claim: DomainClaim) -> DomainClaim:
    """Look for the proof, and return the claim with what was found.

    Raises `Throttled`, `TooManyFetches`, `DomainTaken`, and `NotFound` if the claim was removed meanwhile.
    """
    Throttle("domain-check", CHECKS).hit(Subject(f"organization:{claim.organization_id}"))
    found = find_proof(claim.name, claim.token)
    try:
        return _settle(actor, claim, found)
    except IntegrityError:
        _challenge_holder(claim)
    try:
        return _settle(actor, claim, found)
    except IntegrityError as error:
        text = gettext_noop(
            "Another organization has proved %(domain)s, and its record is still there. Remove that record, then check "
            "again."
        )
        raise DomainTaken(Filled(text, domain=claim.name)) from error


def recheck_domain(claim: DomainClaim) -> DomainClaim:
    """Check a proved domain again, as a worker. Raises `TooManyFetches`, and `NotFound` if the claim was removed."""
    return _settle(SYSTEM, claim, find_proof(claim.name, claim.token))


def remove_domain(*, actor: Actor, organization: Organization) -> None:
    """Give up the organization's claim and its domain. Raises `NotFound` if it has none."""
    with transaction.atomic():
        hold_developer(actor)
        _announce(release_domain(actor=actor, organization=organization), clock.now())
        hold_decisions()


def release_domain(*, actor: Actor, organization: Organization) -> str:
    """Delete the claim in a transaction in progress, and return its domain. Raises `NotFound` if there is none."""
    hold_organizations([organization.id])
    claim = DomainClaim.objects.select_for_update(of=("self",)).filter(organization=organization).first()
    if claim is None:
        raise NotFound("No domain.")
    verified = _set_domain(claim, None)
    _record(Event.DOMAIN_REMOVED, actor, claim, wasProved=claim.proved_at is not None, verified=verified)
    claim.delete()
    return str(claim.name)


def request_review(*, actor: Actor, organization: Organization) -> None:
    """Ask administrators to verify the organization. Raises `Conflict` if it has no proved domain, or is verified."""
    with transaction.atomic():
        hold_developer(actor)
        hold_organizations([organization.id])
        claim = DomainClaim.objects.select_related("organization").filter(organization=organization).first()
        if claim is None or claim.proved_at is None:
            raise Conflict(gettext_noop("Prove a domain first."))
        if claim.organization.is_verified:
            raise Conflict(gettext_noop("Your organization is verified already."))
        if claim.review_asked_at is None:
            DomainClaim.objects.filter(pk=claim.pk).update(review_asked_at=clock.now())
            _record(Event.ORGANIZATION_REVIEW_REQUESTED, actor, claim)


def decline_review(*, actor: Actor, organization: Organization, reason: str) -> bool:
    """Decline the request to be verified, as an administrator. Return False if there was none."""
    with transaction.atomic():
        asking = DomainClaim.objects.filter(organization=organization, review_asked_at__isnull=False)
        claim = asking.select_for_update(of=("self",)).first()
        if claim is None:
            return False
        DomainClaim.objects.filter(pk=claim.pk).update(review_asked_at=None)
        _record(Event.ORGANIZATION_REVIEW_DECLINED, actor, claim, reason=reason)
    return True


def _settle(actor: Actor, checked: DomainClaim, found: Found, *, is_contested: bool = False) -> DomainClaim:
    """Record what a check has found. Raises `IntegrityError` if another organization has the domain."""
    now = clock.now()
    with transaction.atomic():
        hold_developer(actor)
        hold_organizations([checked.organization_id])
        # A claim that was made again has another token.
        claims = DomainClaim.objects.select_for_update(of=("self",)).filter(pk=checked.pk, token=checked.token)
        claim = claims.first()
        if claim is None:
            raise NotFound("No such claim.")
        proved_by = claim.proved_by
        claim.checked_at, (claim.method, claim.dns_problem, claim.file_problem) = now, found
        if found.method:
            _prove(actor, claim, now)
        elif claim.proved_at is not None:
            _miss(actor, claim, found, now, is_contested=is_contested)
        claim.save()
        if claim.proved_by != proved_by:
            _announce(claim.name, now)
            hold_decisions()  # an organization that was verified without a domain is not verified with one
    return claim


def _announce(name: str, now: datetime) -> None:
    """Tell the apps above which claim decides for the domain, after the proof of it has changed.

    After a loss, that is the claim for a domain above it, if one is proved.
    """
    holder = claim_of_host(name)
    if holder is not None:
        domain_proved.send(sender=DomainClaim, claim=holder, now=now)


def _prove(actor: Actor, claim: DomainClaim, now: datetime) -> None:
    claim.failing_since, claim.due_at, claim.proved_by = None, now + CHECK_EVERY, claim.method
    if claim.proved_at is None:
        claim.proved_at = now
        _record(Event.DOMAIN_PROVED, actor, claim, method=claim.method, verified=_set_domain(claim, claim.name))


def _set_domain(claim: DomainClaim, domain: str | None) -> bool:
    """Change the domain of the organization, and return whether it is verified with it.

    An administrator verified it with one domain. With any other one, or without it, this is suspended until the
    organization has that domain again or is verified with the new one. Decisions depend on it, so a transaction that
    takes the domain ends with `hold_decisions`.
    """
    organization = Organization.objects.get(pk=claim.organization_id)
    is_verified: bool = organization.verified_with == (domain or "")
    Organization.objects.filter(pk=organization.pk).update(domain=domain, is_verified=is_verified)
    return is_verified


def _miss(actor: Actor, claim: DomainClaim, found: Found, now: datetime, *, is_contested: bool) -> None:
    """Note that the proof of a domain is missing, and lose the domain after the grace period."""
    is_new = claim.failing_since is None
    claim.failing_since = claim.failing_since or now
    lost_at = claim.failing_since + GRACE
    claim.due_at = min(now + RETRY_AFTER, lost_at)
    if now >= lost_at or (is_contested and found.is_gone):
        _lose(actor, claim, now)
    elif is_new:
        _tell(claim, "domain_failing", now, until=lost_at)


def _lose(actor: Actor, claim: DomainClaim, now: datetime) -> None:
    verified = _set_domain(claim, None)
    claim.proved_at = claim.due_at = claim.failing_since = claim.review_asked_at = None
    claim.proved_by = ""
    _record(Event.DOMAIN_LOST, actor, claim, verified=verified)
    _tell(claim, "domain_lost", now)


def _challenge_holder(claim: DomainClaim) -> None:
    """Check the proof of the organization that has the domain. If the proof is gone, it loses the domain at once.

    A deleted organization keeps it.
    """
    rows = DomainClaim.objects.filter(organization__domain=claim.name, organization__deleted_at=None)
    holder = rows.exclude(pk=claim.pk).first()
    if holder is not None:
        found = find_proof(holder.name, holder.token)
        with suppress(NotFound):  # it has removed its claim meanwhile, so the domain is free
            _settle(SYSTEM, holder, found, is_contested=True)


def _tell(claim: DomainClaim, name: str, now: datetime, *, until: datetime | None = None) -> None:
    """Let a worker mail each developer of the organization."""
    for user in User.objects.filter(pk__in=members_of(claim.organization_id).values("user"), is_active=True):
        ends = until.isoformat() if until else None
        facts = {"organizationId": claim.organization_id, "domain": claim.name, "until": ends}
        add_notice(name, user=user, actor=SYSTEM, at=now, facts=facts)


def _record(event: Event, actor: Actor, claim: DomainClaim, **metadata: Any) -> None:
    facts: Mapping[str, Any] = {"domain": claim.name, **metadata}
    record(Draft(event=event, actor=actor, organization_id=claim.organization_id, metadata=facts))
