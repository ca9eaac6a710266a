"""The organization that the caller acts for, and those of the signed-in user."""

from __future__ import annotations

from .._base import Api
from .._call import Call, create, delete, get, given, patch
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint
from .._lists import page_of
from ..models import Membership, Organization, OrganizationStop, Page


class OrganizationsApi(Api):
    @endpoint
    def get_organization(self) -> Flow[Organization]:
        """Return the organization that the credential acts for, with the caller's role in it."""
        return self._call(get("/organization", reader(Organization)))

    @endpoint
    def update_organization(self, *, name: str) -> Flow[Organization]:
        """Rename the organization. A new name ends its verification."""
        return self._call(patch("/organization", reader(Organization), given(name=name)))

    @endpoint
    def get_organization_stop(self) -> Flow[OrganizationStop]:
        """Return what stopping all agents ends, or would end, and the proof that the newest stop held."""
        return self._call(get("/organization/stop", reader(OrganizationStop)))

    @endpoint
    def stop_organization(self, *, reason: str) -> Flow[Organization]:
        """Stop all agents of the organization. All their requests are denied at once."""
        return self._call(_act("/organization/stop", given(reason=reason)))

    @endpoint
    def resume_organization(self, *, reason: str | None = None) -> Flow[Organization]:
        """Lift the organization's own stop. All other stops remain in force."""
        return self._call(_act("/organization/resume", given(reason=reason)))

    @endpoint
    def delete_organization(self) -> Flow[None]:
        """Stop everything at once, and delete the organization in 7 days, at its `deletes_at`."""
        return self._call(delete("/organization"))

    @endpoint
    def restore_organization(self) -> Flow[Organization]:
        """Undo the deletion, which owners can do for 7 days."""
        return self._call(_act("/organization/restore", {}))

    @endpoint
    def list_organizations(self) -> Flow[Page[Membership]]:
        """Return the organizations of the signed-in user. An API key is refused."""
        return self._call(get("/users/me/organizations", page_of(Membership)))

    @endpoint
    def create_organization(self, *, name: str) -> Flow[Membership]:
        """Create an organization with the signed-in user as its owner. An API key is refused."""
        return self._call(create("/organizations", reader(Membership), given(name=name)))


def _act(path: str, body: object) -> Call[Organization]:
    # Repeating it changes nothing.
    return Call("POST", path, reader(Organization), json=body, replayable=True)
