"""Saved views of the log: names, limits, owners, and two requests at the same time."""

from functools import partial

import pytest

from audit.selectors import entries_for_organization
from core.errors import Invalid, NotFound
from developers import saved_views
from developers.acting import as_developer
from developers.models import SavedView
from developers.saved_views import MAX_QUERY_LENGTH, delete_view, rename_view, save_view
from tests.threads import race
from tests.world import ANONYMOUS, make_developer

pytestmark = pytest.mark.django_db


@pytest.fixture
def acting(developer):
    return {"actor": as_developer(ANONYMOUS, developer), "developer": developer}


@pytest.fixture
def foreign(db):
    other = make_developer("other@example.com", "Other")
    return {"actor": as_developer(ANONYMOUS, other), "developer": other}


def save(acting, name="Denials", query="outcome=denied"):
    return save_view(**acting, name=name, query=query)


def names():
    return list(SavedView.objects.values_list("name", flat=True))


def test_a_view_is_saved_renamed_and_deleted_and_each_is_logged(acting, developer):
    view = save(acting)
    rename_view(**acting, view_id=view.id, name="  Refusals ")
    assert names() == ["Refusals"]
    delete_view(**acting, view_id=view.id)
    assert names() == []
    entries = [one for one in entries_for_organization(developer.organization_id) if one.event.startswith("log_view.")]
    assert [one.event for one in entries] == ["log_view.deleted", "log_view.renamed", "log_view.saved"]
    assert {one.content["metadata"]["viewId"] for one in entries} == {view.id}
    assert "Refusals" not in str([one.content for one in entries])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "denials"}, "You already have a view with this name."),
        ({"name": " \u200b"}, "Give the view a name."),
        ({"name": "x" * 61}, "At most 60 characters."),
        ({"name": "Other", "query": ""}, "Choose at least one filter first."),
        ({"name": "Other", "query": "x" * (MAX_QUERY_LENGTH + 1)}, "Choose at least one filter first."),
    ],
)
def test_a_view_is_refused_with_the_field_and_the_remedy(acting, fields, message):
    save(acting)
    with pytest.raises(Invalid) as refusal:
        save(acting, **fields)
    assert [one.message for one in refusal.value.errors] == [message]
    assert names() == ["Denials"]


def test_a_name_of_another_view_is_refused_when_renaming(acting):
    save(acting)
    other = save(acting, name="Other")
    with pytest.raises(Invalid):
        rename_view(**acting, view_id=other.id, name="DENIALS")
    rename_view(**acting, view_id=other.id, name="OTHER")
    assert names() == ["Denials", "OTHER"]


def test_there_are_only_so_many(acting, monkeypatch):
    monkeypatch.setattr(saved_views, "MAX_VIEWS", 1)
    save(acting)
    with pytest.raises(Invalid, match="At most 1 saved views"):
        save(acting, name="Other")


def test_another_developers_view_is_absent(acting, foreign):
    view = save(acting)
    save(foreign)
    for act in (partial(rename_view, name="Mine"), delete_view):
        with pytest.raises(NotFound):
            act(**foreign, view_id=view.id)
    assert names() == ["Denials", "Denials"]


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_at_the_same_time_one_gets_the_name_and_the_last_place(acting, monkeypatch):
    def attempt(name):
        try:
            save(acting, name=name)
        except Invalid:
            return False
        return True

    assert sorted(race([partial(attempt, "Denials")] * 3)) == [False, False, True]
    monkeypatch.setattr(saved_views, "MAX_VIEWS", 2)
    assert sorted(race([partial(attempt, name) for name in ("One", "Two", "Three")])) == [False, False, True]
    assert SavedView.objects.count() == 2
