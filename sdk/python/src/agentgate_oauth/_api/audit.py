"""The organization's audit log, and the catalogue of scopes."""

from __future__ import annotations

from datetime import datetime, timezone

from .._base import Api
from .._call import get, segment
from .._effects import Flow
from .._endpoint import endpoint, paged
from .._lists import page_of
from ..models import AuditEntry, Page, Scope


class AuditApi(Api):
    @endpoint
    def get_audit_logs(
        self,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        event: str | None = None,
        outcome: str | None = None,
        chain: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[AuditEntry]]:
        """Return one page of the organization's log, newest first.

        `chain` is an agent that acted or handed the work on, or a delegation, for what happened below it.
        """
        filters = {
            "agent_id": agent_id,
            "user_id": user_id,
            "event": event,
            "outcome": outcome,
            "chain": chain,
        }
        period = {"from": rfc3339(since), "to": rfc3339(until)}
        return self._call(get("/audit", page_of(AuditEntry), **filters, **period, limit=limit, cursor=cursor))

    iter_audit_logs = paged(get_audit_logs)

    @endpoint
    def list_scopes(self, category: str | None = None) -> Flow[Page[Scope]]:
        """Return the catalogue of scopes, or one category. Raises NotFoundError for an unknown category."""
        path = "/scopes" if category is None else f"/scopes/{segment(category)}"
        return self._call(get(path, page_of(Scope)))


def rfc3339(moment: datetime | None) -> str | None:
    """Return the time in UTC. Raises ValueError if it has no time zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("times must be aware, for example datetime.now(timezone.utc)")
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
