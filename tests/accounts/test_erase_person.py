"""`./dev manage erase_person`."""

import io

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import User
from tests.shared import cases
from tests.world import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return make_user("ada@example.com", "Ada")


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("erase_person", *arguments, stdout=output)
    return output.getvalue()


def erased(user: User) -> bool:
    return User.objects.get(pk=user.pk).erased_at is not None


@cases("name", ["id", "email"])
def test_erases_the_person_with_this_id_or_address(ada: User, name: str) -> None:
    output = run(getattr(ada, name).upper() if name == "email" else ada.id, "--yes")
    assert erased(ada)
    assert f"Erased {ada.id}." in output
    assert "wait in the journal" in output
    assert "ada@example.com" not in output


def test_asks_first(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "yes")
    with pytest.raises(CommandError, match="Nothing was erased"):
        run(ada.id)
    assert not erased(ada)
    monkeypatch.setattr("builtins.input", lambda question: ada.id)
    run(ada.id)
    assert erased(ada)
    assert "ada@example.com" in asked[0]


def test_can_be_repeated(ada: User) -> None:
    run(ada.id, "--yes")
    assert "was already erased" in run(ada.id, "--yes")


@cases("person", ["usr_unknown", "nobody@example.com", "ada@exa mple..com", ""])
def test_an_unknown_person_is_an_error(ada: User, person: str) -> None:
    with pytest.raises(CommandError, match="There is no user"):
        run(person, "--yes")
    assert not erased(ada)


def test_an_administrator_is_not_erased(ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_superuser=True)
    with pytest.raises(CommandError, match="belongs to an administrator"):
        run(ada.id, "--yes")
    assert not erased(ada)
