"""Who acts for an organization, and what they may do: a member, a member's API key, or a key of the organization."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from accounts.models import User
from core.errors import Forbidden, Invalid, NotFound
from core.wording import Filled
from developers.models import ApiKey, Developer, Organization
from developers.roles import Right, Role, lesser, may, require
from developers.selectors import membership_in, memberships_of


class OrganizationRequired(Invalid):
    """The user is a member of several organizations, and the request does not say which it is about."""

    code = "organization_required"
    title = gettext_noop("The request must name an organization")
    remedy = "Send the id of one of your organizations in X-Organization."


class NotMember(Forbidden):
    """The user is not a member of the organization that the request names, or no organization has this id."""

    code = "not_member"
    title = gettext_noop("You are not a member of this organization")
    remedy = "Ask an owner or admin of the organization for an invitation."


class KeyLimited(Forbidden):
    """The API key reaches some agents only, and this is not about one of them, or would create something."""

    code = "key_limited"
    title = gettext_noop("This API key is limited to some agents")
    remedy = "Use a key without this limit."


@dataclass(frozen=True, slots=True)
class Access:
    """What the caller may do in one organization. `developer` is None for a key of the organization itself."""

    organization: Organization
    role: Role
    developer: Developer | None = None
    key: ApiKey | None = None

    @property
    def organization_id(self) -> str:
        return str(self.organization.pk)

    @property
    def agent_ids(self) -> frozenset[str] | None:
        """The only agents that the caller reaches. None for all of the organization."""
        return None if self.key is None or self.key.agent_ids is None else frozenset(self.key.agent_ids)

    @property
    def credential(self) -> str:
        """The owner of stored responses to repeated requests.

        A key that may do less than its member has its own: others can have a credential with more power in them.
        """
        if self.key is None:
            return str(self.member.pk)
        is_whole = self.developer is not None and self.key.agent_ids is None and self.role == self.developer.role
        return str(self.member.pk if is_whole else self.key.pk)

    @property
    def member(self) -> Developer:
        """The member who calls. Raises `Forbidden` for a key of the organization, which is not a member."""
        if self.developer is None:
            raise Forbidden(gettext_noop("A key of an organization is not a member. This endpoint is for members."))
        return self.developer

    def may(self, right: Right) -> bool:
        return may(self.role, right)

    def require(self, right: Right) -> None:
        """Raise `RoleInsufficient` unless the caller has the right."""
        require(self.role, right)

    def require_unlimited(self) -> None:
        """Raise `KeyLimited` for a key that reaches only some agents."""
        if self.agent_ids is not None:
            raise self._limited()

    def require_agent(self, agent_id: str) -> None:
        """Raise `KeyLimited` for a key that reaches other agents only. It says the same of ids that do not exist."""
        if self.agent_ids is not None and agent_id not in self.agent_ids:
            raise self._limited()

    @contextmanager
    def hiding_absence(self) -> Iterator[None]:
        """For a key that reaches some agents only, raise `KeyLimited` in place of `NotFound`.

        What does not exist must look like what belongs to another agent.
        """
        try:
            yield
        except NotFound:
            self.require_unlimited()
            raise

    def _limited(self) -> KeyLimited:
        text = gettext_noop("This key reaches only %(agents)s.")
        return KeyLimited(Filled(text, agents=", ".join(sorted(self.agent_ids or ()))))


def access_of_key(key: ApiKey) -> Access:
    """Return what a live key may do: the lesser of its role and its member's current one."""
    if key.developer is None:
        return Access(key.organization, Role(key.role), None, key)
    return Access(key.developer.organization, lesser(key.role, key.developer.role), key.developer, key)


def access_of_member(developer: Developer) -> Access:
    return Access(developer.organization, Role(developer.role), developer)


def access_of_user(user: User, organization_id: str | None) -> Access | None:
    """Return what a signed-in user may do in the organization that they name, or in their only one.

    Return None if they name none and are a member of none. Raises `NotMember`, and `OrganizationRequired`.
    """
    if organization_id is not None:
        found = membership_in(user, organization_id)
        if found is None:
            raise NotMember
        return access_of_member(found)
    members = list(memberships_of(user)[:2])
    if len(members) > 1:
        text = gettext_noop("You are a member of several organizations. Name one in X-Organization.")
        raise OrganizationRequired(text)
    return access_of_member(members[0]) if members else None
