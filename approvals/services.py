"""The approval's state machine: pending, then approved, denied or expired; approved, then used or expired.

Verify asks for approvals and uses them (`decisions.approvals`). Every other transition is here: one conditional UPDATE,
whose row count tells whether it succeeded. A user's decisions lock the user's row first, so they run one after another.

Danger: decisions change approved rows that are not standing while they hold the lock that a revocation takes. So never
lock such a row in a transaction that takes the revocation lock later.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.recent import require_recent_sign_in
from accounts.services import hold_account
from agents.services import require_may_act
from approvals.errors import ApprovalAlreadyDecided, ApprovalExpired, ApprovalNotStanding, ConnectionInactive
from approvals.history import ENDED_APPROVAL_LIFETIME
from approvals.models import Approval
from approvals.notices import announce_standing
from approvals.records import draft_approval, draft_expiry
from approvals.selectors import agents_of, approval_for_user, needs_recent_sign_in, waiting_for_user
from approvals.signals import handed_on_checked
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.services import append
from consent.errors import NotConnected
from consent.models import Consent
from consent.pausing import pause_held_agent
from consent.statuses import in_words
from core import clock
from core.actor import Actor
from core.clock import rfc3339
from core.errors import Invalid
from core.locks import revocation
from core.sweeps import BATCH, delete_batch, lock_batch
from core.wording import Filled

# How long an approval of one request can be used, from the user's decision.
APPROVAL_USE_LIFETIME = timedelta(hours=1)

Status = Approval.Status
ENDED = (Status.DENIED, Status.EXPIRED, Status.USED)
# A decision that read the clock before an approval ended may still use it, a few seconds later.
LAST_USE = timedelta(minutes=1)


def require_active(approval: Approval, user: User, now: datetime) -> datetime:
    """Return until when the agent could use the approval: its connection or, if it was handed work, that ends.

    Raises `ConnectionInactive`, `EverythingStopped`, `AgentSuspended`, `OrganizationSuspended` if it could not.
    """
    consent = approval.consent
    status = consent.status_at(now)
    if status != Consent.Status.APPROVED:
        raise ConnectionInactive(Filled(gettext_noop("The connection is %(status)s."), status=in_words(status)))
    if consent.paused_at or user.agents_paused_at:
        raise ConnectionInactive(gettext_noop("The agent is paused. Resume it first."))
    for agent in agents_of(approval):
        require_may_act(agent)
    if not set(approval.scopes) <= set(consent.live_scopes()):
        raise ConnectionInactive(gettext_noop("The connection no longer includes what the agent asks for."))
    checked = handed_on_checked.send(Approval, approval=approval, now=now) if approval.chain else ()
    return min([consent.expires_at, *(cast("datetime", end) for _receiver, end in checked)])


def approve_approval(
    *,
    actor: Actor,
    approval: Approval,
    user: User,
    signed_in_at: datetime | None,
    for_target: bool = False,
    expires_in_seconds: int | None = None,
) -> Approval:
    """Approve the request once or, with `for_target`, all that have the same target for `expires_in_seconds`.

    Return the updated approval. `signed_in_at` is when the user entered their password. Raises `NotFound`,
    `NotAuthenticated`, `ApprovalAlreadyDecided`, `ApprovalExpired`, `ConnectionInactive`, `AgentSuspended`,
    `OrganizationSuspended`, `ReauthenticationRequired` for a critical request, `EverythingStopped` while all agents are
    stopped, and `Invalid` if the duration is missing or exceeds the connection's, or if a request that is critical or
    names no target would be approved for a time.
    """
    with transaction.atomic():
        user = hold_account(user)
        now = clock.now()
        approval = approval_for_user(user, approval.id)
        _require_pending(approval, now)
        end = require_active(approval, user, now)
        if needs_recent_sign_in(approval):
            require_recent_sign_in(signed_in_at)
        ends = _end_of(approval, end, now, expires_in_seconds, for_target=for_target)
        changes = {"status": Status.APPROVED, "is_standing": for_target, "expires_at": ends}
        _decide(approval, now, changes)
        if for_target:
            announce_standing(actor=actor, approval=approval, user=user, at=now)
        metadata = {"for": "target" if for_target else "once", "expiresAt": rfc3339(ends)}
        fields = {"outcome": Outcome.ALLOWED, "metadata": metadata}
        append([draft_approval(Event.APPROVAL_APPROVED, actor=actor, approval=approval, **fields)], at=now)
    return approval


def deny_approval(*, actor: Actor, approval: Approval, user: User, pause_agent: bool = False) -> Approval:
    """Deny the request and return the updated approval, regardless of the connection's state.

    With `pause_agent`, also pause the agent, unless its connection has ended. No verify that starts after this returns
    is then allowed under the connection. Raises `NotFound`, `NotAuthenticated`, `ApprovalAlreadyDecided`,
    `ApprovalExpired`.
    """
    with revocation() if pause_agent else transaction.atomic():
        user = hold_account(user)
        now = clock.now()
        approval = approval_for_user(user, approval.id)
        _require_pending(approval, now)
        _decide(approval, now, {"status": Status.DENIED})
        append([_draft_denial(approval, actor)], at=now)
        if pause_agent:
            with suppress(NotConnected):
                pause_held_agent(actor=actor, consent=approval.consent, now=now)
    return approval


def deny_held(*, actor: Actor, user: User, agent_id: str, pause_agent: bool = False) -> int:
    """Deny all requests of the agent's connection that were held back, and return the number denied.

    With `pause_agent`, also pause the agent, unless its connection has ended or nothing was held back. Raises
    `NotAuthenticated`.
    """
    with revocation() if pause_agent else transaction.atomic():
        user = hold_account(user)
        now = clock.now()
        held = (
            waiting_for_user(user, now).filter(consent__agent=agent_id, is_held=True).select_related("consent__agent")
        )
        approvals = list(held.select_for_update(of=("self",)).order_by("pk"))
        pks = [approval.pk for approval in approvals]
        Approval.objects.filter(pk__in=pks).update(status=Status.DENIED, decided_at=now)
        append([_draft_denial(approval, actor) for approval in approvals], at=now)
        if pause_agent and approvals:
            with suppress(NotConnected):
                pause_held_agent(actor=actor, consent=approvals[-1].consent, now=now)
    return len(approvals)


def revoke_approval(*, actor: Actor, approval: Approval, user: User) -> Approval:
    """End an approval for a time, or a rule, and return it. Revoking it twice changes nothing.

    No verify that starts after this returns uses it. Raises `NotFound`, `NotAuthenticated`, `ApprovalNotStanding`.
    """
    with revocation():
        user = hold_account(user)
        now = clock.now()
        approval = approval_for_user(user, approval.id)
        if not approval.is_standing:
            raise ApprovalNotStanding(gettext_noop("Only an approval for a time can be revoked."))
        live = Approval.objects.filter(pk=approval.pk, is_standing=True, status=Status.APPROVED, expires_at__gt=now)
        if live.update(status=Status.EXPIRED, expires_at=now):
            metadata = {"for": "rule"} if approval.is_rule else {}
            append([draft_approval(Event.APPROVAL_REVOKED, actor=actor, approval=approval, metadata=metadata)], at=now)
    return approval_for_user(user, approval.id)


def expire_pending(*, limit: int = BATCH) -> int:
    """Mark up to `limit` requests that were not decided in time as expired, and return the number marked."""
    return _expire(Status.PENDING, clock.now(), limit)


def expire_unused(*, limit: int = BATCH) -> int:
    """Mark up to `limit` approvals whose time is over as expired, and return the number marked."""
    return _expire(Status.APPROVED, clock.now() - LAST_USE, limit)


def delete_ended_approvals(*, limit: int = BATCH) -> int:
    """Delete up to `limit` approvals that ended at least 30 days ago; return the number deleted. The log remains."""
    long_ago = clock.now() - ENDED_APPROVAL_LIFETIME
    ended = Approval.objects.filter(status__in=ENDED, expires_at__lte=long_ago)
    return delete_batch(ended.order_by("expires_at"), limit=limit)


def _require_pending(approval: Approval, now: datetime) -> None:
    status = approval.own_status_at(now)
    if status == Status.EXPIRED and approval.decided_at is None:
        raise ApprovalExpired(gettext_noop("It was not decided in time, so the request was denied."))
    if status != Status.PENDING:
        raise ApprovalAlreadyDecided(_already(status))


def _already(status: str) -> str:
    if status == Status.USED:
        return gettext_noop("It is already approved and used.")
    if status == Status.EXPIRED:
        return gettext_noop("It is already approved, and that has ended.")
    return Filled(gettext_noop("It is already %(status)s."), status=in_words(status))


def _end_of(
    approval: Approval, end: datetime, now: datetime, expires_in_seconds: int | None, *, for_target: bool
) -> datetime:
    """Return when the approval ends, which is never after `end`. Raises `Invalid`."""
    if not for_target:
        if expires_in_seconds is not None:
            raise Invalid.field("expiresInSeconds", gettext_noop('Only with "for": "target".'))
        return min(end, now + APPROVAL_USE_LIFETIME)
    if needs_recent_sign_in(approval):
        raise Invalid.field("for", gettext_noop("A critical request can only be approved once."))
    if approval.chain:
        text = gettext_noop("A request of an agent that was handed the work can only be approved once.")
        raise Invalid.field("for", text)
    if not approval.names_target:
        raise Invalid.field(
            "for", gettext_noop("The request has no recipient, target or resource. It can only be approved once.")
        )
    if expires_in_seconds is None:
        raise Invalid.field("expiresInSeconds", gettext_noop('Required with "for": "target".'))
    left = int((end - now).total_seconds())
    if not 0 < expires_in_seconds <= left:
        raise Invalid.field(
            "expiresInSeconds", Filled(gettext_noop("Must be 1 to %(left)d: the connection ends then."), left=left)
        )
    return now + timedelta(seconds=expires_in_seconds)


def _decide(approval: Approval, now: datetime, changes: Mapping[str, Any]) -> None:
    """Change the status of a pending approval. Raises `ApprovalExpired` if the sweep was faster."""
    changes = {**changes, "decided_at": now}
    if not Approval.objects.filter(pk=approval.pk, status=Status.PENDING, expires_at__gt=now).update(**changes):
        approval.refresh_from_db()
        _require_pending(approval, now)
    for name, value in changes.items():
        setattr(approval, name, value)


def _draft_denial(approval: Approval, actor: Actor) -> Draft:
    return draft_approval(Event.APPROVAL_DENIED, actor=actor, approval=approval, outcome=Outcome.DENIED)


def _expire(status: str, until: datetime, limit: int) -> int:
    due = Approval.objects.filter(status=status, expires_at__lte=until).order_by("expires_at")
    return _expire_batch(due, limit) if due.exists() else 0


@transaction.atomic
def _expire_batch(due: QuerySet[Approval], limit: int) -> int:
    pks = lock_batch(due, limit)
    Approval.objects.filter(pk__in=pks).update(status=Status.EXPIRED)
    append([draft_expiry(approval) for approval in Approval.objects.filter(pk__in=pks)])
    return len(pks)
