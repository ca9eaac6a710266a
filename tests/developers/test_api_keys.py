"""Named API keys: limits, ends, races, and when each was last used."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from accounts.models import Notice, User
from agents.models import Agent
from core import clock
from core.errors import Invalid, NotAuthenticated, NotFound
from core.rotation import USE_PRECISION, AddedSecret, AlreadyReplaced, NewSecret
from developers.acting import as_developer, as_developer_in_session
from developers.api_keys import (
    MAX_API_KEYS,
    create_api_key,
    revoke_api_key,
    rotate_api_key,
)
from developers.errors import OrganizationSuspended
from developers.models import ApiKey, Developer
from developers.roles import Role, RoleInsufficient
from developers.selectors import api_keys_for_developer
from developers.services import suspend_organization
from tests.constants import MOMENT, NOON
from tests.log import log_entries, log_entry
from tests.threads import race
from tests.world import ANONYMOUS, developer_for_api_key, make_agent, make_developer, make_user

DAY = 86_400

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(developer: Developer) -> Any:
    return as_developer(ANONYMOUS, developer)


@pytest.fixture
def create(actor: Any, developer: Developer) -> Any:
    """Return a function that creates a key with a name."""
    return partial(create_api_key, actor=actor, developer=developer)


def metadata(event: str) -> Any:
    return log_entry(log_entries(event=event).get().pk).content["metadata"]


def test_a_key_works_until_it_is_revoked_alone(developer: Developer, actor: Any, create: Any) -> None:
    laptop, deployment = create(name="laptop"), create(name="deployment", lifetime_seconds=DAY)
    revoke_api_key(actor=actor, developer=developer, key_id=laptop.row.id)
    assert developer_for_api_key(laptop.value) is None
    assert developer_for_api_key(deployment.value) == developer
    assert metadata("api_key.revoked") == {"developerId": developer.id, "keyId": laptop.row.id, "name": "laptop"}
    with pytest.raises(NotFound):
        revoke_api_key(actor=actor, developer=developer, key_id=laptop.row.id)


def test_a_key_ends_when_the_developer_wanted(developer: Developer, create: Any) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        key = create(name="deployment", lifetime_seconds=DAY)
        clock.move_to(NOON + timedelta(seconds=DAY) - MOMENT)
        assert developer_for_api_key(key.value) == developer
        clock.move_to(NOON + timedelta(seconds=DAY))
        assert developer_for_api_key(key.value) is None
    assert metadata("api_key.created")["lifetimeSeconds"] == DAY


def test_a_key_without_a_lifetime_never_ends(developer: Developer, create: Any) -> None:
    key = create(name="laptop")
    with time_machine.travel(clock.now() + timedelta(days=10_000)):
        assert developer_for_api_key(key.value) == developer


def test_a_rotated_key_keeps_its_name_and_its_lifetime(developer: Developer, actor: Any, create: Any) -> None:
    create(name="laptop")
    old = create(name="deployment", lifetime_seconds=30 * DAY)
    new = rotate_api_key(actor=actor, developer=developer, key_id=old.row.id, overlap_seconds=3600)
    assert (new.row.name, new.row.lifetime_seconds) == ("deployment", 30 * DAY)
    assert new.row.expires_at - new.row.created_at == timedelta(days=30)
    kept = {key.id: key.is_replaced for key in ApiKey.objects.exclude(name="laptop").exclude(name="")}
    assert kept == {old.row.id: True, new.row.id: False}
    assert not ApiKey.objects.get(name="laptop").is_replaced
    assert developer_for_api_key(old.value) == developer_for_api_key(new.value) == developer


@pytest.mark.parametrize("lifetime", [None, 60, 30 * DAY])
def test_a_replaced_key_is_not_replaced_again(developer: Developer, actor: Any, create: Any, lifetime: Any) -> None:
    old = create(name="laptop", lifetime_seconds=lifetime).row
    rotate = partial(rotate_api_key, actor=actor, developer=developer, overlap_seconds=7 * DAY)
    rotate(key_id=old.id)
    with pytest.raises(AlreadyReplaced, match="A new key has replaced this one"):
        rotate(key_id=old.id)
    assert [key.is_replaced for key in developer.api_keys.filter(name="laptop")] == [False, True]


def test_rotations_pass_the_limit_of_live_keys_only_without_an_overlap(
    developer: Developer, actor: Any, create: Any
) -> None:
    rotate = partial(rotate_api_key, actor=actor, developer=developer)
    newest = create(name="laptop").row.id
    for _number in range(MAX_API_KEYS - developer.api_keys.count()):
        newest = rotate(key_id=newest, overlap_seconds=DAY).row.id
    for key_id in (newest, None):
        with pytest.raises(Invalid, match="At most 10 can work at once"):
            rotate(key_id=key_id, overlap_seconds=DAY)
    assert developer.api_keys.count() == MAX_API_KEYS
    newest = rotate(key_id=newest).row
    assert live_names(developer) == ["laptop"] * (MAX_API_KEYS - 1) + [""]
    only = rotate()
    assert api_keys_for_developer(developer).get() == only.row


def live_names(developer: Developer) -> list[str]:
    return [key.name for key in api_keys_for_developer(developer)]


def test_one_key_for_several_has_neither_the_name_nor_the_end_of_any(
    developer: Developer, actor: Any, create: Any
) -> None:
    create(name="production")
    create(name="laptop", lifetime_seconds=30 * DAY)
    new = rotate_api_key(actor=actor, developer=developer).row
    assert (new.name, new.lifetime_seconds, new.expires_at) == ("", None, None)


def test_one_key_for_a_single_one_has_its_name_and_its_lifetime(developer: Developer, actor: Any, create: Any) -> None:
    create(name="laptop", lifetime_seconds=30 * DAY)
    revoke_api_key(actor=actor, developer=developer, key_id=developer.api_keys.get(name="").id)
    for _number in range(2):  # a key that is already replaced does not count
        new = rotate_api_key(actor=actor, developer=developer, overlap_seconds=DAY).row
        assert (new.name, new.lifetime_seconds) == ("laptop", 30 * DAY)


def test_the_name_of_a_replaced_key_is_free(developer: Developer, actor: Any, create: Any) -> None:
    old = create(name="laptop", lifetime_seconds=30 * DAY).row
    new = rotate_api_key(actor=actor, developer=developer, key_id=old.id, overlap_seconds=DAY).row
    with pytest.raises(Invalid, match="has this name"):
        create(name="laptop")
    revoke_api_key(actor=actor, developer=developer, key_id=new.id)
    assert create(name="laptop")


@pytest.mark.django_db(transaction=True)
def test_of_several_rotations_of_one_key_at_once_one_succeeds(developer: Developer, actor: Any, create: Any) -> None:
    old = create(name="laptop").row
    given = {"actor": actor, "developer": developer, "key_id": old.id, "overlap_seconds": DAY}
    outcomes = race([partial(rotate_api_key, **given)] * 4)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyReplaced"] * 3 + ["NewSecret"]
    assert developer.api_keys.filter(name="laptop").count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_several_rotations_at_once_no_more_than_the_limit_succeed(
    developer: Developer, actor: Any, create: Any
) -> None:
    keys = [create(name=f"place {number}").row for number in range(MAX_API_KEYS - 2 - developer.api_keys.count())]
    given = {"actor": actor, "developer": developer, "overlap_seconds": DAY}
    outcomes = race([partial(rotate_api_key, key_id=key.id, **given) for key in keys[:4]])
    assert sum(isinstance(outcome, NewSecret) for outcome in outcomes) == 2
    assert developer.api_keys.count() == MAX_API_KEYS


def test_the_key_of_another_developer_is_absent(actor: Any, developer: Developer) -> None:
    rival = make_developer("rival@example.com", "Rival")
    theirs = create_api_key(actor=as_developer(ANONYMOUS, rival), developer=rival, name="laptop")
    for act in (revoke_api_key, rotate_api_key):
        with pytest.raises(NotFound):
            act(actor=actor, developer=developer, key_id=theirs.row.id)
    assert developer_for_api_key(theirs.value) == rival


def test_an_account_that_has_changed_since_its_sign_in_gets_no_key(create: Any) -> None:
    User.objects.update(password="changed")
    with pytest.raises(NotAuthenticated):
        create(name="laptop")
    assert not ApiKey.objects.filter(name="laptop").exists()


def test_a_suspended_organization_gets_no_key(developer: Developer, create: Any) -> None:
    suspend_organization(actor=ANONYMOUS, organization=developer.organization, reason="spam")
    with pytest.raises(OrganizationSuspended):
        create(name="laptop")


@pytest.mark.django_db(transaction=True)
def test_of_several_creations_at_once_no_more_than_the_limit_succeed(developer: Developer, create: Any) -> None:
    for number in range(MAX_API_KEYS - 2 - developer.api_keys.count()):
        create(name=f"place {number}")
    outcomes = race([partial(create, name=f"late {number}") for number in range(4)])
    assert sum(isinstance(outcome, Invalid) for outcome in outcomes) == 2
    assert developer.api_keys.count() == MAX_API_KEYS


@pytest.mark.django_db(transaction=True)
def test_of_several_creations_with_one_name_one_succeeds(developer: Developer, create: Any) -> None:
    outcomes = race([partial(create, name="laptop")] * 4)
    assert sum(isinstance(outcome, AddedSecret) for outcome in outcomes) == 1
    assert developer.api_keys.filter(name="laptop").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_rotation_and_a_revocation_of_one_key_leave_it_dead(developer: Developer, actor: Any, create: Any) -> None:
    old = create(name="laptop")
    given = {"actor": actor, "developer": developer, "key_id": old.row.id}
    rotated, revoked = race([partial(rotate_api_key, overlap_seconds=3600, **given), partial(revoke_api_key, **given)])
    assert revoked is None
    assert developer_for_api_key(old.value) is None
    assert isinstance(rotated, NotFound) or developer_for_api_key(rotated.value) == developer


def test_the_last_use_is_recorded_once_per_ten_minutes(create: Any) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        key = create(name="laptop")
        for step, seen in (
            (timedelta(0), NOON),
            (USE_PRECISION - MOMENT, NOON),
            (USE_PRECISION, NOON + USE_PRECISION),
        ):
            clock.move_to(NOON + step)
            developer_for_api_key(key.value)
            assert ApiKey.objects.get(name="laptop").last_used_at == seen


def join(owner: Developer, role: Role, email: str) -> Developer:
    return Developer.objects.create(user=make_user(email), organization=owner.organization, role=role)


def acting(developer: Developer, role: str = "") -> Any:
    """Return what identifies the developer, or their key with this role, to the services."""
    return {"actor": as_developer(ANONYMOUS, developer, role=role), "developer": developer}


def test_a_key_has_at_most_the_role_of_its_maker_and_by_default_the_same(developer: Developer) -> None:
    auditor = join(developer, Role.AUDITOR, "audit@example.com")
    for who, role in ((acting(auditor), "auditor"), (acting(developer, "developer"), "developer")):
        assert create_api_key(**who, name=role).row.role == role
        with pytest.raises(RoleInsufficient, match=f"the role owner or admin. The role here is {role}"):
            create_api_key(**who, name="more", role="admin")
    key = create_api_key(**acting(developer), name="siem", role="auditor").row
    assert (key.role, metadata_of(key)["role"]) == ("auditor", "auditor")


def metadata_of(key: ApiKey) -> Any:
    (found,) = [
        entry.content["metadata"]
        for entry in map(log_entry, log_entries(event="api_key.created").values_list("pk", flat=True))
        if entry.content["metadata"]["keyId"] == key.id
    ]
    return found


def test_a_key_reaches_only_agents_of_its_organization(developer: Developer, create: Any) -> None:
    own, gone, foreign = make_agent(developer), make_agent(developer), make_agent(make_developer("rival@example.com"))
    Agent.objects.filter(pk=gone.pk).update(deleted_at=clock.now())
    key = create(name="ci", agent_ids=[own.id, own.id]).row
    assert key.agent_ids == metadata_of(key)["agentIds"] == [own.id]
    for ids in ([], [own.id, foreign.id], [gone.id], ["agt_1"], [f"agt_{number}" for number in range(21)]):
        with pytest.raises(Invalid) as refused:
            create(name="other", agent_ids=ids)
        assert [error.field for error in refused.value.errors] == ["agentIds"]


def test_a_rotated_key_keeps_its_role_and_agents_but_gains_none_of_the_caller(
    developer: Developer, actor: Any, create: Any
) -> None:
    agent = make_agent(developer)
    limited = create(name="ci", role="developer", agent_ids=[agent.id], lifetime_seconds=DAY).row
    new = rotate_api_key(actor=actor, developer=developer, key_id=limited.id).row
    assert (new.role, new.agent_ids, new.lifetime_seconds) == ("developer", [agent.id], DAY)
    by_key = acting(developer, "developer")
    assert rotate_api_key(**by_key, key_id=new.id).row.role == "developer"
    owners = create(name="owner's").row
    for act in (partial(rotate_api_key, key_id=owners.id), partial(revoke_api_key, key_id=owners.id), rotate_api_key):
        with pytest.raises(RoleInsufficient, match="This requires the role owner"):
            act(**by_key)
    assert not ApiKey.objects.get(pk=owners.id).is_replaced
    Developer.objects.filter(pk=developer.pk).update(role=Role.AUDITOR)
    developer.refresh_from_db()
    assert rotate_api_key(**acting(developer), key_id=owners.id).row.role == "auditor"


def test_one_key_for_several_has_the_greatest_of_their_roles_and_all_agents(developer: Developer, create: Any) -> None:
    ApiKey.objects.all().delete()
    create(name="siem", role="auditor")
    create(name="ci", role="developer", agent_ids=[make_agent(developer).id])
    new = rotate_api_key(**acting(developer)).row
    assert (new.role, new.agent_ids, new.developer) == ("developer", None, developer)


YEAR = 365 * DAY


def test_a_key_of_an_organization_ends_within_a_year_and_has_at_most_the_role_of_a_developer(
    developer: Developer, create: Any
) -> None:
    own = partial(create, owned_by_organization=True)
    key = own(name="ci").row
    assert (key.developer, key.made_by, key.role) == (None, developer, "developer")
    assert key.expires_at - key.created_at == timedelta(seconds=YEAR)
    assert metadata_of(key) == {
        "developerId": developer.id,
        "keyId": key.id,
        "name": "ci",
        "role": "developer",
        "ownedByOrganization": True,
        "lifetimeSeconds": YEAR,
    }
    for field, wrong in (
        ("expiresInSeconds", {"lifetime_seconds": YEAR + 1}),
        ("role", {"role": "admin"}),
        ("name", {"name": "ci"}),
    ):
        with pytest.raises(Invalid) as refused:
            own(**{"name": "other", **wrong})
        assert [error.field for error in refused.value.errors] == [field]
    for number in range(MAX_API_KEYS - 1):
        own(name=f"place {number}", role="auditor")
    with pytest.raises(Invalid, match="An organization can have at most 10 API keys of its own"):
        own(name="one more")
    create(name="ci")  # own keys have a limit and names of their own


def test_only_admins_create_rotate_and_revoke_the_keys_of_an_organization(developer: Developer, create: Any) -> None:
    key = create(name="ci", owned_by_organization=True).row
    for caller in (acting(join(developer, Role.DEVELOPER, "d@example.com")), acting(developer, "developer")):
        with pytest.raises(RoleInsufficient, match="requires the role owner or admin"):
            create_api_key(**caller, name="mine", owned_by_organization=True)
        for act in (rotate_api_key, revoke_api_key):
            with pytest.raises(RoleInsufficient, match="requires the role owner or admin"):
                act(**caller, key_id=key.id)
    admin = acting(join(developer, Role.ADMIN, "a@example.com"))
    new = rotate_api_key(**admin, key_id=key.id).row
    assert (new.developer, new.made_by, new.role) == (None, admin["developer"], "developer")
    assert new.expires_at - new.created_at == timedelta(seconds=YEAR)
    assert developer.api_keys.count() == 1  # a rotation of all own keys leaves it alone, too
    rotate_api_key(**admin)
    revoke_api_key(**admin, key_id=new.id)
    with pytest.raises(NotFound):
        revoke_api_key(**acting(make_developer("rival@example.com")), key_id=create(name="x").row.id)


def test_owners_and_admins_are_mailed_about_a_key_of_the_organization(developer: Developer) -> None:
    admin = join(developer, Role.ADMIN, "a@example.com")
    join(developer, Role.DEVELOPER, "d@example.com")
    gone = join(developer, Role.OWNER, "gone@example.com")
    Developer.objects.filter(pk=gone.pk).update(ended_at=clock.now())
    Notice.objects.all().delete()
    session = as_developer_in_session(ANONYMOUS, admin, clock.now())
    key = create_api_key(actor=session, developer=admin, name="ci", owned_by_organization=True).row
    assert mailed() == [("a@example.com", "credential_made"), ("dev@example.com", "organization_key_made")]
    rotate_api_key(**acting(admin), key_id=key.id)
    assert mailed() == [("a@example.com", "organization_key_made"), ("dev@example.com", "organization_key_made")]


def mailed() -> list[tuple[str, str]]:
    """Return who is mailed what, and forget it."""
    found = sorted(Notice.objects.values_list("user__email", "name"))
    Notice.objects.all().delete()
    return found


@pytest.mark.django_db(transaction=True)
def test_admins_at_once_make_no_more_keys_of_the_organization_than_the_limit(developer: Developer) -> None:
    admin = join(developer, Role.ADMIN, "a@example.com")
    for number in range(MAX_API_KEYS - 1):
        create_api_key(**acting(developer), name=f"place {number}", owned_by_organization=True)
    given = [{**acting(who), "name": who.id, "owned_by_organization": True} for who in (developer, admin) * 2]
    outcomes = race([partial(create_api_key, **each) for each in given])
    assert sorted(type(each).__name__ for each in outcomes) == ["AddedSecret", "Invalid", "Invalid", "Invalid"]
    assert ApiKey.objects.filter(developer=None).count() == MAX_API_KEYS
