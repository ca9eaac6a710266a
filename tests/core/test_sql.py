"""Statements of our own give the models that Django's queries give, and their rows are those that Django writes."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, models, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from agents.models import Agent, ClientSecret
from consent.models import AuthorizationCode, Consent
from core import clock
from core.ids import new_id
from core.sql import PREPARE_AFTER, Columns, execute, fetch_one, insert, pipelined
from decisions.stores.postgresql import conninfo_of
from developers.models import Organization
from tests.shared import cases
from tests.world import make_grant
from tokens.models import AccessToken, RefreshToken, TokenFamily

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


def table_of(model: type[models.Model]) -> str:
    return model._meta.db_table


@cases("model", [Agent, AuthorizationCode, ClientSecret, Consent, Organization, RefreshToken, TokenFamily, User])
def test_columns_make_the_model_that_a_query_makes(model: type[models.Model]) -> None:
    make_grant()
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    columns: Columns[Any] = Columns(model, "one")
    made = columns.make(iter(fetch_one(f"SELECT {columns.sql} FROM {table_of(model)} AS one ORDER BY one.id") or ()))
    names = [field.attname for field in model._meta.concrete_fields]
    assert {name: getattr(made, name) for name in names} == {name: getattr(row, name) for name in names}
    assert made == row


def test_a_field_that_was_left_out_is_read_when_it_is_used() -> None:
    agent = make_grant().agent
    columns = Columns(Agent, "agent", "id", "status")
    made = columns.make(iter(fetch_one(f"SELECT {columns.sql} FROM agents_agent AS agent") or ()))
    assert made
    with CaptureQueriesContext(connection) as queries:
        assert made.name == agent.name
    assert len(queries) == 1


def test_columns_that_an_outer_join_did_not_find_make_no_model() -> None:
    grant, columns = make_grant(), Columns(Organization, "organization")
    Agent.objects.update(organization=None)
    row = fetch_one(f"""
        SELECT {columns.sql}, agent.id FROM agents_agent AS agent
        LEFT JOIN developers_organization AS organization ON organization.id = agent.organization_id
    """)
    values = iter(row or ())
    assert columns.make(values) is None
    assert list(values) == [grant.agent.id], "the next columns follow"


def new_rows() -> tuple[TokenFamily, AccessToken]:
    grant, now = make_grant(), clock.now()
    owned = {"application": grant.agent, "user": grant.user, "scope": "email:read", "resource": ["https://x.example"]}
    family = TokenFamily(**owned, consent=grant.consent, created_at=now, expires_at=now + timedelta(days=1))
    return family, AccessToken(**owned, family=family, expires=now, resource_owners={"https://x.example": "org_1"})


def test_inserted_rows_are_those_that_django_reads() -> None:
    rows = new_rows()
    insert(*rows)
    for row in rows:
        stored = type(row)._default_manager.get(pk=row.pk)
        names = [field.attname for field in row._meta.concrete_fields]
        assert {name: getattr(stored, name) for name in names} == {name: getattr(row, name) for name in names}
        assert not row._state.adding


def test_rows_are_inserted_together_or_not_at_all() -> None:
    (family, token), before = new_rows(), AccessToken.objects.first()
    assert before
    token.pk = before.pk
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(family, token)
    assert not TokenFamily.objects.filter(pk=family.pk).exists()


def test_execute_returns_how_many_rows_it_has_written() -> None:
    make_grant()
    change = "UPDATE tokens_tokenfamily SET revoked_at = %s WHERE id = %s"
    assert execute(change, [clock.now(), new_id("fam")]) == 0
    assert execute(change, [clock.now(), TokenFamily.objects.get().id]) == 1
    assert fetch_one("SELECT id FROM tokens_tokenfamily WHERE revoked_at IS NULL") is None


def test_an_error_of_a_pipelined_statement_is_raised_at_its_end_and_undoes_the_others() -> None:
    (family, token), before = new_rows(), AccessToken.objects.first()
    assert before
    token.pk = before.pk

    def insert_both() -> None:
        with transaction.atomic(), pipelined():
            insert(family)
            insert(token)

    with pytest.raises(IntegrityError):
        insert_both()
    assert not TokenFamily.objects.filter(pk=family.pk).exists()


def test_a_pipelined_statement_sees_the_rows_of_the_one_before() -> None:
    family, _ = new_rows()
    with pipelined():
        insert(family)
        found = fetch_one("SELECT id FROM tokens_tokenfamily WHERE id = %s", [family.pk])
    assert found == (family.pk,)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_just_ended_is_replaced() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL")
    fetch_one("SELECT 1")
    (ended,) = fetch_one("SELECT pg_backend_pid()") or ()
    with psycopg.connect(conninfo_of(connection.settings_dict), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])
    connection.health_check_enabled, connection.health_check_done = True, False  # as at the start of a request
    assert fetch_one("SELECT pg_backend_pid()") != (ended,)


def test_postgresql_keeps_the_plan_of_a_statement_that_runs_often() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL")
    statement = "SELECT 1 FROM agents_agent WHERE id = %s AND 'kept' = 'kept'"
    for _ in range(PREPARE_AFTER + 2):
        fetch_one(statement, ["agt_0"])
    assert fetch_one("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%''kept'' = ''kept''%%'") == (
        1,
    )
