"""Every change of a policy, by whatever means, gives its organization a new `policy_version`."""

from collections.abc import Callable

import pytest
from django.db import connection, transaction

from agents.models import Agent
from developers.models import Developer, Organization
from policies.models import Policy
from tests.world import make_agent, make_developer

pytestmark = pytest.mark.postgresql


def version_of(organization: Organization) -> str:
    return Organization.objects.values_list("policy_version", flat=True).get(pk=organization.pk)


def run(sql: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@pytest.fixture
def acme(developer: Developer) -> Organization:
    return developer.organization


@pytest.fixture
def other(db: None) -> Organization:
    return make_developer("other@example.com", "Other").organization


@pytest.fixture
def agent(developer: Developer) -> Agent:
    return make_agent(developer)


@pytest.fixture
def policy(acme: Organization) -> Policy:
    return Policy.objects.create(organization=acme, name="First")


CHANGES: dict[str, Callable[[Policy], object]] = {
    "saved": lambda policy: policy.save(),
    "created": lambda policy: Policy.objects.create(organization=policy.organization, name="Second"),
    "created in bulk": lambda policy: Policy.objects.bulk_create(
        [Policy(organization=policy.organization, name=name) for name in "abc"]
    ),
    "updated by a query": lambda policy: Policy.objects.update(enabled=False),
    "updated by SQL": lambda policy: run("UPDATE policies_policy SET rules = '[]' WHERE id = %s", policy.id),
    "deleted": lambda policy: policy.delete(),
    "deleted by a query": lambda policy: Policy.objects.all().delete(),
    "deleted by SQL": lambda policy: run("DELETE FROM policies_policy WHERE id = %s", policy.id),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_gives_a_new_version_to_its_organization_only(
    change: Callable[[Policy], object], acme: Organization, other: Organization, policy: Policy
) -> None:
    before, untouched = version_of(acme), version_of(other)
    change(policy)
    assert version_of(acme) != before
    assert version_of(other) == untouched


def test_each_version_is_new(acme: Organization, policy: Policy) -> None:
    versions = []
    for _ in range(20):
        policy.save()
        versions.append(version_of(acme))
    assert len(set(versions)) == 20
    assert {len(version) for version in versions} == {32}


def test_rows_of_another_table_change_nothing(acme: Organization, agent: Agent, policy: Policy) -> None:
    before = version_of(acme)
    Agent.objects.update(name="Renamed")
    Organization.objects.filter(pk=acme.pk).update(name="Renamed")
    Policy.objects.filter(name="no such policy").update(name="Renamed")
    assert version_of(acme) == before


def test_a_move_changes_both_organizations(acme: Organization, other: Organization, policy: Policy) -> None:
    before = version_of(acme), version_of(other)
    Policy.objects.filter(pk=policy.pk).update(organization=other)
    assert version_of(acme) != before[0]
    assert version_of(other) != before[1]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO policies_policy ({columns}) SELECT {values} FROM policies_policy WHERE id = %s",
        "UPDATE OR REPLACE policies_policy SET id = '{replaced}' WHERE id = %s",
    ],
    ids=["INSERT", "UPDATE"],
)
def test_a_policy_that_is_replaced_changes_its_organization(
    statement: str, acme: Organization, other: Organization, policy: Policy, store: str
) -> None:
    if store != "sqlite":
        pytest.skip("PostgreSQL has no REPLACE")
    theirs = Policy.objects.create(organization=other, name="Theirs")
    columns = [field.column for field in Policy._meta.local_concrete_fields]
    values = [f"'{policy.id}'" if column == "id" else column for column in columns]
    before = version_of(acme), version_of(other)

    run(statement.format(columns=", ".join(columns), values=", ".join(values), replaced=policy.id), theirs.id)

    assert not acme.policies.exists()
    assert version_of(acme) != before[0]
    assert version_of(other) != before[1]


def test_one_statement_may_change_many_organizations(acme: Organization, other: Organization, policy: Policy) -> None:
    Policy.objects.create(organization=other, name="Theirs")
    before = version_of(acme), version_of(other)
    Policy.objects.update(enabled=False)
    assert version_of(acme) != before[0]
    assert version_of(other) != before[1]
    assert version_of(acme) != version_of(other)


def test_deleting_an_agent_deletes_its_policies(acme: Organization, agent: Agent, policy: Policy) -> None:
    Policy.objects.create(organization=acme, agent=agent, name="Its own")
    before = version_of(acme)
    agent.delete()
    assert list(Policy.objects.all()) == [policy]
    assert version_of(acme) != before


def test_deleting_an_organization_deletes_its_policies(acme: Organization, agent: Agent, policy: Policy) -> None:
    Policy.objects.create(organization=acme, agent=agent, name="An agent's")
    acme.delete()
    assert not Policy.objects.exists()
    assert not Organization.objects.filter(pk=acme.pk).exists()


def test_a_rollback_restores_the_version_and_never_gives_it_out_again(acme: Organization, policy: Policy) -> None:
    before = version_of(acme)
    with transaction.atomic():
        Policy.objects.update(enabled=False)
        rolled_back = version_of(acme)
        transaction.set_rollback(True)
    assert version_of(acme) == before
    policy.save()
    assert version_of(acme) not in (before, rolled_back)


def test_saving_a_stale_organization_does_not_restore_an_old_version(acme: Organization, policy: Policy) -> None:
    stale = Organization.objects.get(pk=acme.pk)
    policy.save()
    current = version_of(acme)
    versions = {stale.policy_version, current}
    stale.save()
    assert version_of(acme) not in versions
