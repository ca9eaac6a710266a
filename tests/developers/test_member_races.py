"""Members who act, leave, are removed and get other roles at the same time."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from accounts.services import deactivate_user
from agents.models import Agent
from agents.services import register_agent
from core.actor import SYSTEM
from core.errors import DomainError, NotAuthenticated, NotFound
from developers.access import access_of_key
from developers.acting import as_developer, as_key
from developers.api_keys import create_api_key, use_api_key
from developers.errors import LastOwner
from developers.members import change_role, end_membership
from developers.models import Developer
from developers.roles import Right, Role, RoleInsufficient
from developers.selectors import members_of
from tests.constants import CALLBACK
from tests.log import log_entries
from tests.threads import race, rounds
from tests.world import ANONYMOUS, make_member

pytestmark = pytest.mark.django_db(transaction=True)

Act = Callable[[Developer, Developer], Any]


def demote(by: Developer, member: Developer) -> Any:
    actor = as_developer(ANONYMOUS, by)
    return change_role(actor=actor, organization_id=by.organization_id, member_id=member.id, role=Role.ADMIN)


def leave(by: Developer, member: Developer) -> None:
    end_membership(actor=as_developer(ANONYMOUS, by), organization_id=by.organization_id, member_id=by.id)


def deactivate(by: Developer, member: Developer) -> None:
    deactivate_user(actor=SYSTEM, user=by.user, reason="Asked to.")


@rounds(10)
@pytest.mark.parametrize("acts", [(demote, demote), (leave, leave), (demote, leave), (demote, deactivate)])
def test_an_active_owner_remains(developer: Developer, acts: tuple[Act, Act], number: int) -> None:
    """Each of two owners demotes the other, leaves, or is deactivated."""
    other = make_member(developer, "bob@example.com", Role.OWNER)

    outcomes = race([partial(acts[0], developer, other), partial(acts[1], other, developer)])

    assert members_of(developer.organization_id).filter(role=Role.OWNER, user__is_active=True).exists()
    assert {type(one) for one in outcomes if isinstance(one, DomainError)} <= {
        LastOwner,
        NotAuthenticated,
        NotFound,
        RoleInsufficient,
    }
    developer.organization.refresh_from_db()
    assert developer.organization.may_act


@rounds(10)
def test_two_deactivated_owners_leave_an_organization_to_its_admin(developer: Developer, number: int) -> None:
    other = make_member(developer, "bob@example.com", Role.OWNER)
    admin = make_member(developer, "eve@example.com", Role.ADMIN)
    race([partial(deactivate, developer, other), partial(deactivate, other, developer)])
    admin.refresh_from_db()
    assert admin.role == Role.OWNER


@rounds(10)
@pytest.mark.parametrize("change", ["removed", "role_changed"])
def test_nothing_is_written_with_a_key_after_its_member_lost_the_right(
    developer: Developer, change: str, number: int
) -> None:
    member = make_member(developer, "bob@example.com", Role.DEVELOPER)
    value = create_api_key(actor=as_developer(ANONYMOUS, member), developer=member, name="ci").value

    def register() -> Any:
        """Do what the API does with a key: check it, and write."""
        key = use_api_key(value)
        if key is None:
            raise NotAuthenticated
        access = access_of_key(key)
        access.require(Right.DEVELOP)
        return register_agent(
            actor=as_key(ANONYMOUS, key, access),
            organization=access.organization,
            name="SmartMail",
            redirect_uris=[CALLBACK],
            allowed_scopes=["email:read"],
        ).agent

    def end() -> None:
        fields = {"organization_id": developer.organization_id, "member_id": member.id}
        actor = as_developer(ANONYMOUS, developer)
        if change == "removed":
            end_membership(actor=actor, **fields)
        else:
            change_role(actor=actor, role=Role.AUDITOR, **fields)

    *outcomes, ended = race([*[register] * 4, end])

    assert ended is None
    made = [one for one in outcomes if isinstance(one, Agent)]
    refused = NotAuthenticated if change == "removed" else RoleInsufficient
    assert all(isinstance(one, Agent | refused) for one in outcomes)
    logged = log_entries(event__in=["agent.created", f"member.{change}"]).order_by("id")
    assert list(logged.values_list("event", flat=True)) == ["agent.created"] * len(made) + [f"member.{change}"]
    with pytest.raises(refused):
        register()
