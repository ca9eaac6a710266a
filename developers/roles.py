"""What each role of an organization's members and API keys may do. Every surface asks here, and none decides itself."""

from enum import StrEnum

from django.db.models import TextChoices
from django.utils.translation import gettext_noop

from core.errors import Forbidden
from core.wording import Filled


class Role(TextChoices):
    """The roles, from the one that may do most. Each may do all that those after it may do."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    DEVELOPER = "developer", "Developer"
    AUDITOR = "auditor", "Auditor"


class Right(StrEnum):
    """What an endpoint or a page requires.

    `READ` is to read all that the organization has, to export its log, and to manage one's own membership and keys.
    `DEVELOP` is to change agents, their secrets, policies, resource servers and scopes, and to simulate. `ADMINISTER`
    is to change members up to admins, invitations, the organization's own keys, its details and its domain, and to stop
    its agents. `OWN` is to name and remove owners, and to delete the organization.
    """

    READ = "read"
    DEVELOP = "develop"
    ADMINISTER = "administer"
    OWN = "own"


LEAST = {Right.READ: Role.AUDITOR, Right.DEVELOP: Role.DEVELOPER, Right.ADMINISTER: Role.ADMIN, Right.OWN: Role.OWNER}
_RANKS = {role: rank for rank, role in enumerate(Role)}


class RoleInsufficient(Forbidden):
    """The member or the key has a role that does not permit this. `detail` names the roles that do."""

    code = "role_insufficient"
    title = gettext_noop("The role does not permit this")
    remedy = "Ask a member with one of the roles that detail names."
    # What is required, if the caller's role has not just changed.
    right: Right | None = None


def may(role: str, right: Right) -> bool:
    return covers(role, LEAST[right])


def covers(role: str, other: str) -> bool:
    """Return whether the role may do all that the other one may do."""
    return _RANKS[Role(role)] <= _RANKS[Role(other)]


def lesser(role: str, other: str) -> Role:
    """Return the one of the two that may do less."""
    return Role(other) if covers(role, other) else Role(role)


def roles_with(right: Right) -> list[Role]:
    return [role for role in Role if may(role, right)]


def require(role: str, right: Right) -> None:
    """Raise `RoleInsufficient` unless the role has the right."""
    if not may(role, right):
        raise insufficient(role, right)


def require_covering(role: str, other: str) -> None:
    """Raise `RoleInsufficient` unless the role may do all that the other one may do."""
    require(role, next(right for right, least in LEAST.items() if least == other))


def insufficient(role: str, right: Right) -> RoleInsufficient:
    text = gettext_noop("This requires the role %(sufficient)s. The role here is %(role)s.")
    error = RoleInsufficient(Filled(text, sufficient=" or ".join(roles_with(right)), role=Role(role).value))
    error.right = right
    return error
