"""The services of a request: the one that asked or is named, and those that the access token is for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings

from approvals.models import Approval
from core.uris import host_of
from resources.selectors import NamedService, services_among


@dataclass(frozen=True, slots=True)
class Audience:
    """A service that the access token is for. `service` is None if no organization has registered it."""

    identifier: str
    service: NamedService | None

    @property
    def is_default(self) -> bool:
        """Whether it stands for all services of the agent's organization."""
        return self.identifier == settings.API_URL

    @property
    def host(self) -> str:
        return host_of(self.identifier)


@dataclass(frozen=True, slots=True)
class Services:
    """The services of a request.

    `service_id` is the resource server that asked, if `is_authenticated`, and otherwise the one that the caller named,
    if any. `service` is None if there is no such id, or if the resource server was deleted.
    """

    service_id: str | None
    service: NamedService | None
    is_authenticated: bool
    audience: Sequence[Audience]


def services_by_approval(approvals: Iterable[Approval]) -> dict[str, Services]:
    """Return the services of each request, by its id. This takes one query, or none if no request has services."""
    listed = list(approvals)
    audiences = {one for approval in listed for one in approval.audience} - {settings.API_URL}
    found = services_among(filter(None, map(_service_id, listed)), audiences)
    by_id, by_identifier = ({one.id: one for one in found}, {one.identifier: one for one in found})
    return {
        approval.pk: Services(
            _service_id(approval),
            by_id.get(_service_id(approval) or ""),
            approval.server_id is not None,
            [Audience(one, by_identifier.get(one)) for one in approval.audience],
        )
        for approval in listed
    }


def _service_id(approval: Approval) -> str | None:
    service_id: str | None = approval.server_id or approval.named_server_id
    return service_id
