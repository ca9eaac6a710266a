"""Reads of approvals. Each caller reads only its own: the user, the agent, or the organization of a resource server."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from accounts.models import User
from agents.models import Agent
from approvals.models import Approval
from consent.models import Consent
from consent.selectors import agreed_scopes
from consent.terms import always_asking
from core import clock
from core.errors import NotFound
from resources.actions import action_titles
from resources.catalogue import Scope
from resources.models import ResourceServer
from resources.risks import CRITICAL

Status = Approval.Status
UNKNOWN = "No such approval."
LIVE = (Status.PENDING, Status.APPROVED)


def approvals_for_user(user: User) -> QuerySet[Approval]:
    """Return the user's approvals with their consents and agents, newest first."""
    rows = Approval.objects.select_related("consent__agent__organization", "agent__organization")
    return rows.filter(user=user).order_by("-id")


def with_status(rows: QuerySet[Approval], status: str, now: datetime) -> QuerySet[Approval]:
    """Return the approvals that have this status at `now`, even if the sweep has not stored it yet."""
    if status in LIVE:
        return rows.filter(in_force(now), status=status)
    if status == Status.EXPIRED:
        return rows.filter(Q(status=status) | (Q(status__in=LIVE) & ~in_force(now)))
    return rows.filter(status=status)


def in_force(now: datetime) -> Q:
    """Return the condition that neither the approval nor its connection has ended.

    Danger: do not add a join. An UPDATE with a join reads its rows first and does not check them again once they are
    locked, so two concurrent updates would both succeed.
    """
    live = Consent.objects.filter(pk=OuterRef("consent_id"), status=Consent.Status.APPROVED, expires_at__gt=now)
    return Q(Exists(live), expires_at__gt=now)


def waiting_for_user(user: User, now: datetime) -> QuerySet[Approval]:
    """Return the requests that the user can decide now."""
    return Approval.objects.filter(in_force(now), user=user, status=Status.PENDING)


def count_waiting(user: User, *, limit: int) -> int:
    """Return how many requests the user can decide now, at most `limit`. One index finds them."""
    return waiting_for_user(user, clock.now()).order_by()[:limit].count()


@dataclass(frozen=True, slots=True)
class WaitingTarget:
    """The number of pending requests under the connection of an agent with the same target, and the newest one's id."""

    agent_id: str
    is_held: bool
    number: int
    newest: str


def waiting_targets(user: User, now: datetime) -> list[WaitingTarget]:
    """Return the targets of all requests that the user can decide, those with the most requests first."""
    rows = waiting_for_user(user, now).values("consent__agent_id", "is_held", "target_digest")
    counted = rows.annotate(number=Count("pk"), newest=Max("pk")).order_by("-number", "-newest")
    return [WaitingTarget(row["consent__agent_id"], row["is_held"], row["number"], row["newest"]) for row in counted]


def standing_among(rows: QuerySet[Approval], now: datetime) -> QuerySet[Approval]:
    """Return the approvals that were given for a time or as a rule and are still in force, newest first."""
    return with_status(rows, Status.APPROVED, now).filter(is_standing=True).order_by("-id")


def approval_for_user(user: User, approval_id: str) -> Approval:
    """Return the user's approval. Raises `NotFound`, including for an approval of another user."""
    return _sole(approvals_for_user(user), approval_id)


def approval_for_agent(agent: Agent, approval_id: str) -> Approval:
    """Return the approval that the agent asked for. Raises `NotFound`."""
    return _sole(Approval.objects.select_related("consent").filter(agent=agent), approval_id)


def approval_for_server(server: ResourceServer, approval_id: str) -> Approval:
    """Return the approval of a request that concerns the organization of this resource server. Raises `NotFound`.

    That is the organization of the resource server that asked. If a caller without a credential asked, it is the
    organization of the agent or of the resource server that the caller named. Verify gives the approval's id to no
    other.
    """
    approval = _sole(Approval.objects.select_related("consent"), approval_id)
    concerned = {approval.service_organization_id}
    if approval.server_id is None:
        concerned.add(approval.organization_id)
    if server.organization_id not in concerned:
        raise NotFound(UNKNOWN)
    return approval


def agents_of(approval: Approval) -> list[Agent]:
    """Return the agent of the connection and, if it handed the work on, those to which it was handed."""
    others = [one for one in approval.chain_agents if one != approval.consent.agent_id]
    found = Agent.objects.select_related("organization").filter(pk__in=others) if others else ()
    return [approval.consent.agent, *found]


def scopes_of(approval: Approval) -> list[Scope]:
    """Return the scopes that the request needs, with the texts that the user agreed to."""
    agreed = {scope.id: scope for scope in agreed_scopes(approval.consent)}
    return [agreed.get(each) or unknown_scope(each) for each in approval.scopes]


def needs_recent_sign_in(approval: Approval) -> bool:
    """Return whether the request is critical, either when it was made or by the texts that the user agreed to."""
    agreed = (scope for scope in agreed_scopes(approval.consent) if scope.id in approval.asked_scopes)
    return approval.is_critical or bool(always_asking(agreed))


def still_waiting(ids: Collection[str]) -> set[str]:
    """Return the ids of the approvals that can still be decided."""
    waiting = Approval.objects.filter(in_force(clock.now()), pk__in=ids, status=Status.PENDING)
    return set(waiting.order_by().values_list("pk", flat=True))


def unknown_scope(scope_id: str) -> Scope:
    """Return a scope with no text but the catalogue's title, if it has one. It counts as the highest risk."""
    return Scope(scope_id, "", CRITICAL, action_titles().get(scope_id, scope_id), "", "")


def _sole(rows: QuerySet[Approval], approval_id: str) -> Approval:
    found: Approval | None = rows.filter(pk=approval_id).first()
    if found is None:
        raise NotFound(UNKNOWN)
    return found
