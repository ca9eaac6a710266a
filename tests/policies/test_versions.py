"""Versions of a policy when several developers change it at the same time."""

from functools import partial

import pytest

from developers.acting import as_developer
from developers.models import Developer
from policies.models import Policy
from policies.services import create_policy, delete_policy, restore_version, update_policy
from policies.versions import content_of, versions_of
from tests.threads import race
from tests.world import ANONYMOUS

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_change_at_the_same_time_has_a_version_of_its_own(developer: Developer) -> None:
    actor = as_developer(ANONYMOUS, developer)
    policy = create_policy(actor=actor, organization=developer.organization, name="First", rules=[])
    update_policy(actor=actor, policy=policy, changes={"name": "Second"})
    restore = partial(restore_version, actor=actor, policy=policy, number=1)
    rename = partial(update_policy, actor=actor, policy=policy, changes={"name": "Third"})
    race([restore, rename, restore, rename])
    policy.refresh_from_db()
    versions = list(versions_of(policy))
    assert [one.number for one in versions] == [6, 5, 4, 3, 2, 1]
    assert versions[0].content == content_of(policy)
    assert sum(one.restored_from == 1 for one in versions) == 2


def test_a_deleted_policy_takes_its_versions_with_it(developer: Developer) -> None:
    actor = as_developer(ANONYMOUS, developer)
    policy = create_policy(actor=actor, organization=developer.organization, name="First", rules=[])
    delete_policy(actor=actor, policy=policy)
    assert not Policy.objects.exists()
    assert not versions_of(Policy(id=policy.id)).exists()
