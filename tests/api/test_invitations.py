"""Invitations, and the organizations of a user, in the API. Their rules are in `tests/developers/test_invitations`."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress

from accounts.models import User
from accounts.services import open_session
from core.actor import SYSTEM
from developers.models import Organization
from tests.api.conftest import Api, expect, problem
from tests.constants import PASSWORD
from tests.log import log_entries
from tests.shared import cases
from tests.world import make_user, make_verified

OPEN = "/organization/invitations"


def session_of(user: User) -> Api:
    return Api(Authorization=f"Bearer {open_session(actor=SYSTEM, user=user).token}")


@pytest.fixture
def bob(db: None) -> Api:
    return session_of(make_verified("bob@example.com"))


def test_an_invitation_is_the_same_for_known_and_unknown_addresses(developer: Api, bob: Api) -> None:
    shown = [
        expect(201, developer.post(OPEN, {"email": email, "role": "auditor"}))
        for email in ("Bob@Example.com", "x@example.com")
    ]
    assert [one["email"] for one in shown] == ["bob@example.com", "x@example.com"]
    assert {tuple(one) for one in shown} == {("id", "email", "role", "invitedBy", "expiresAt", "status")}
    assert {(one["id"][:4], one["invitedBy"][:4], one["role"], one["status"]) for one in shown} == {
        ("inv_", "dev_", "auditor", "pending")
    }
    assert expect(200, developer.get(OPEN))["items"] == shown[::-1]


def test_the_invited_user_accepts(developer: Api, bob: Api) -> None:
    made = expect(201, developer.post(OPEN, {"email": "bob@example.com", "role": "developer"}))
    (own,) = expect(200, bob.get("/users/me/invitations"))["items"]
    assert own == {**made, "organization": own["organization"]}
    assert own["organization"]["name"] == "acme"
    problem(bob.get("/agents"), 403, "forbidden")

    member = expect(200, bob.post(f"/invitations/{made['id']}/accept"))

    assert (member["id"][:4], member["role"], member["email"]) == ("dev_", "developer", "bob@example.com")
    expect(200, bob.get("/agents"))
    problem(bob.get(OPEN), 403, "role_insufficient")
    assert expect(200, bob.get("/users/me/organizations"))["items"] == [
        {"organization": own["organization"], "role": "developer", "memberId": member["id"]}
    ]
    problem(bob.post(f"/invitations/{made['id']}/accept"), 409, "invitation_ended")
    assert expect(200, bob.get("/users/me/invitations"))["items"] == []
    assert [one["status"] for one in expect(200, developer.get(OPEN))["items"]] == ["accepted"]


def test_the_invited_user_declines(developer: Api, bob: Api) -> None:
    made = expect(201, developer.post(OPEN, {"email": "bob@example.com", "role": "developer"}))
    assert expect(200, bob.post(f"/invitations/{made['id']}/decline"))["status"] == "declined"
    problem(bob.post(f"/invitations/{made['id']}/accept"), 409, "invitation_ended")
    problem(developer.delete(f"{OPEN}/{made['id']}"), 409, "invitation_ended")


def test_others_find_no_invitation(developer: Api, ada: Api) -> None:
    made = expect(201, developer.post(OPEN, {"email": "bob@example.com", "role": "developer"}))
    for act in ("accept", "decline"):
        known = ada.post(f"/invitations/{made['id']}/{act}")
        unknown = ada.post(f"/invitations/inv_{'0' * 32}/{act}")
        assert problem(known, 404, "not_found")["detail"] == problem(unknown, 404, "not_found")["detail"]
        problem(developer.post(f"/invitations/{made['id']}/{act}"), 403, "forbidden")


def test_revoking(developer: Api, bob: Api) -> None:
    made = expect(201, developer.post(OPEN, {"email": "bob@example.com", "role": "developer"}))
    expect(204, developer.delete(f"{OPEN}/{made['id']}"))
    problem(bob.post(f"/invitations/{made['id']}/accept"), 409, "invitation_ended")
    problem(developer.delete(f"{OPEN}/inv_{'0' * 32}"), 404, "not_found")


@cases(
    ("body", "field"),
    [
        ({"email": "bob@example.com"}, "role"),
        ({"role": "admin"}, "email"),
        ({"email": "bob", "role": "admin"}, "email"),
        ({"email": "bob@example.com", "role": "king"}, "role"),
        ({"email": f"{'b' * 250}@example.com", "role": "admin"}, "email"),
    ],
)
def test_an_invalid_invitation_names_the_field(developer: Api, body: Any, field: str) -> None:
    problem(developer.post(OPEN, body), 400, "validation_failed", field)


def test_a_key_of_an_admin_invites_no_owner_and_the_refusal_is_logged(developer: Api) -> None:
    key = expect(201, developer.post("/developers/api-keys", {"name": "ci", "role": "admin"}))["apiKey"]
    admin = Api(X_Api_Key=key)
    refused = problem(admin.post(OPEN, {"email": "bob@example.com", "role": "owner"}), 403, "role_insufficient")
    assert "owner" in refused["detail"]
    (entry,) = log_entries(event="member.refused")
    assert entry.content["metadata"]["right"] == "own", "what the service needs, not what the operation does"
    expect(201, admin.post(OPEN, {"email": "bob@example.com", "role": "admin"}))


def test_an_invitation_and_an_organization_are_made_once_per_idempotency_key(developer: Api, bob: Api) -> None:
    for api, path, body in (
        (developer, OPEN, {"email": "x@example.com", "role": "admin"}),
        (bob, "/organizations", {"name": "Mine"}),
    ):
        first, second = (expect(201, api.post(path, body, Idempotency_Key="k")) for _ in range(2))
        assert first == second
    assert Organization.objects.filter(name="Mine").count() == 1


def test_a_user_creates_organizations_and_names_one_in_each_request(bob: Api, settings: Any) -> None:
    first, second = (expect(201, bob.post("/organizations", {"name": name})) for name in ("One", "Two"))
    assert (first["role"], first["organization"]["name"], first["memberId"][:4]) == ("owner", "One", "dev_")
    assert expect(200, bob.get("/users/me/organizations"))["items"] == [second, first]
    problem(bob.get("/agents"), 400, "organization_required")
    shown = expect(200, bob.get("/organization", X_Organization=first["organization"]["id"]))
    assert (shown["name"], shown["memberId"]) == ("One", first["memberId"])
    problem(bob.post("/organizations", {"name": "Acme ✓"}), 400, "validation_failed", "name")
    settings.REQUIRE_VERIFIED_EMAIL = True
    EmailAddress.objects.update(verified=False)
    problem(bob.post("/organizations", {"name": "Three"}), 403, "email_unverified")


def test_organizations_are_throttled(bob: Api) -> None:
    for number in range(10):
        expect(201, bob.post("/organizations", {"name": f"Acme {number}"}))
    problem(bob.post("/organizations", {"name": "Eleventh"}), 429, "throttled")


def test_a_login_of_a_member_of_several_organizations_names_none(anonymous: Api) -> None:
    user = make_user("cyd@example.com", "Cyd")
    given = {"email": "cyd@example.com", "password": PASSWORD}
    problem(anonymous.post("/developers/login", given), 403, "forbidden")
    made = expect(201, session_of(user).post("/organizations", {"name": "One"}))
    shown = expect(200, anonymous.post("/developers/login", given))
    assert (shown["id"], shown["name"]) == (made["memberId"], "One")
    expect(201, session_of(user).post("/organizations", {"name": "Two"}))
    Organization.objects.filter(name="One").update(suspended_at="2026-01-01T00:00:00Z")
    shown = expect(200, anonymous.post("/developers/login", given))
    assert (shown["id"], shown["name"], shown["email"]) == (None, "Cyd", "cyd@example.com")
