"""How many versions of a policy are kept."""

import pytest

from core.actor import SYSTEM, Actor
from core.errors import Invalid
from developers.models import Organization
from policies import versions
from policies.models import Policy, PolicyVersion
from policies.services import create_policy, restore_version, update_policy
from tests.shared import cases

pytestmark = pytest.mark.django_db
ADMINISTRATOR = Actor("administrator", "usr_1")
OTHER = Actor("administrator", "usr_2")


@pytest.fixture
def policy() -> Policy:
    organization = Organization.objects.create(name="Acme")
    return create_policy(actor=SYSTEM, organization=organization, name="First", rules=[])


def rename(policy: Policy, name: str, actor: Actor = ADMINISTRATOR) -> Policy:
    return update_policy(actor=actor, policy=policy, changes={"name": name})


def kept() -> list[tuple[int, str]]:
    versions = PolicyVersion.objects.order_by("number")
    return [(version.number, version.content["name"]) for version in versions]


def test_a_restored_version_stays_apart(policy: Policy) -> None:
    policy = rename(policy, "a")
    policy = restore_version(actor=ADMINISTRATOR, policy=policy, number=1)
    policy = rename(policy, "b")
    assert kept() == [(1, "First"), (2, "a"), (3, "First"), (4, "b")]
    assert [version.restored_from for version in PolicyVersion.objects.order_by("number")] == [None, None, 1, None]


def test_only_the_newest_versions_are_kept(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MAX_VERSIONS", 4)
    for number in range(6):
        policy = rename(policy, f"{number}", OTHER if number % 2 else ADMINISTRATOR)
    assert [number for number, _ in kept()] == [4, 5, 6, 7]


@cases("field", ["organization_id", "version", "created_at"])
def test_other_fields_cannot_be_changed(policy: Policy, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        update_policy(actor=SYSTEM, policy=policy, changes={"name": "Other", field: "x"})
    assert [error.field for error in refusal.value.errors] == [field]
    assert Policy.objects.get().name == "First"
