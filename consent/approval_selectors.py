"""Reads of approvals. Each caller reads only its own: the user, the agent, or the resource server that asked."""

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import User
from agents.models import Agent
from consent.models import Approval
from consent.selectors import agreed_scopes
from core import clock
from core.errors import NotFound
from resources.catalogue import Scope
from resources.models import ResourceServer

Status = Approval.Status
LIVE = (Status.PENDING, Status.APPROVED)


def approvals_for_user(user: User) -> QuerySet[Approval]:
    """Return the user's approvals with their consents and agents, newest first."""
    rows = Approval.objects.select_related("consent__agent__organization", "agent")
    return rows.filter(user=user).order_by("-id")


def with_status(rows: QuerySet[Approval], status: str, now: datetime) -> QuerySet[Approval]:
    """Return those that have this status at `now`, which the sweep may not have stored yet."""
    if status in LIVE:
        return rows.filter(status=status, expires_at__gt=now)
    if status == Status.EXPIRED:
        return rows.filter(Q(status=status) | Q(status__in=LIVE, expires_at__lte=now))
    return rows.filter(status=status)


def waiting_for_user(user: User, now: datetime) -> QuerySet[Approval]:
    """Return the requests that the user can decide now."""
    return Approval.objects.filter(user=user, status=Status.PENDING, expires_at__gt=now)


def count_waiting(user: User, *, limit: int) -> int:
    """Return how many requests the user can decide now, at most `limit`. One index answers it."""
    return waiting_for_user(user, clock.now()).order_by()[:limit].count()


def approval_for_user(user: User, approval_id: str) -> Approval:
    """Return the user's approval. Raises `NotFound`, even if another user has it."""
    return _sole(approvals_for_user(user), approval_id)


def approval_for_agent(agent: Agent, approval_id: str) -> Approval:
    """Return the approval that the agent asked for. Raises `NotFound`."""
    return _sole(Approval.objects.filter(agent=agent), approval_id)


def approval_for_server(server: ResourceServer, approval_id: str) -> Approval:
    """Return the approval that verify required when this resource server asked. Raises `NotFound`."""
    return _sole(Approval.objects.filter(server_id=server.id), approval_id)


def scopes_of(approval: Approval) -> list[Scope]:
    """Return the scopes that the request needs, with the texts that the user agreed to."""
    agreed = {scope.id: scope for scope in agreed_scopes(approval.consent)}
    return [agreed.get(each) or _unknown(each) for each in approval.scopes]


def still_waiting(ids: Collection[str]) -> set[str]:
    """Return those of the ids whose approvals can still be decided."""
    waiting = Approval.objects.filter(pk__in=ids, status=Status.PENDING, expires_at__gt=clock.now())
    return set(waiting.order_by().values_list("pk", flat=True))


def _unknown(scope_id: str) -> Scope:
    """Return a scope without texts. Its risk is unknown, so it counts as the highest."""
    return Scope(scope_id, "", "critical", scope_id, "", "")


def _sole(rows: QuerySet[Approval], approval_id: str) -> Approval:
    found: Approval | None = rows.filter(pk=approval_id).first()
    if found is None:
        raise NotFound("No such approval.")
    return found
