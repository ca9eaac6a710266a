"""Members through the API. Who may change whom is tested with the service."""

from datetime import timedelta
from typing import Any

import pytest

from agents.models import Agent
from core import clock
from developers.acting import as_developer
from developers.api_keys import create_api_key
from developers.models import Developer
from developers.roles import Role
from tests.api.conftest import VISITOR, Api, Json, expect, problem
from tests.log import log_entries
from tests.world import allow, ask, make_member

MEMBERS = "/organization/members"


def owner() -> Developer:
    return Developer.objects.select_related("organization").get(user__email="acme@example.com")


def join(role: Role, email: str = "bob@example.com") -> tuple[str, Api]:
    """Return the id of a new member, and a client with a key of theirs."""
    member = make_member(owner(), email, role)
    key = create_api_key(actor=as_developer(VISITOR, member), developer=member, name="ci").value
    return member.id, Api(X_Api_Key=key)


def test_members_are_listed_newest_first_to_all_of_them(developer: Api) -> None:
    bob, auditor = join(Role.AUDITOR)
    first = expect(200, auditor.get(f"{MEMBERS}?limit=1"))
    (shown,) = first["items"]
    assert shown.pop("createdAt").endswith("Z")
    assert shown.pop("lastActiveAt").endswith("Z")
    user = Developer.objects.get(pk=bob).user
    assert shown == {"id": bob, "userId": user.id, "email": "bob@example.com", "name": "", "role": "auditor"}
    second = expect(200, auditor.get(f"{MEMBERS}?limit=1&cursor={first['nextCursor']}"))
    assert [one["email"] for one in second["items"]] == ["acme@example.com"]
    assert second["nextCursor"] is None


def test_members_recognize_a_colleague_in_their_log(developer: Api, agent: Json) -> None:
    """The page of an invitation says so: the log has the ids of those for whom the organization's agents act."""
    bob, auditor = join(Role.AUDITOR)
    user = Developer.objects.get(pk=bob).user
    allow(ask(Agent.objects.get(pk=agent["id"])), user)
    (shown,) = [one for one in expect(200, auditor.get(MEMBERS))["items"] if one["id"] == bob]
    found = expect(200, auditor.get(f"/audit?userId={shown['userId']}"))["items"]
    assert "consent.approved" in {one["event"] for one in found}


def test_a_role_applies_to_the_members_keys_at_once_and_a_removal_ends_them(developer: Api, rival: Api) -> None:
    bob, api = join(Role.DEVELOPER)
    body = {"name": "No payments", "rules": [{"type": "action_blocklist", "config": {"actions": ["payments:*"]}}]}
    expect(201, api.post("/policies", body))

    assert expect(200, developer.patch(f"{MEMBERS}/{bob}", {"role": "auditor"}))["role"] == "auditor"
    problem(api.post("/policies", body), 403, "role_insufficient")
    expect(200, api.get("/policies"))

    for stranger in (rival.patch(f"{MEMBERS}/{bob}", {"role": "admin"}), rival.delete(f"{MEMBERS}/{bob}")):
        problem(stranger, 404, "not_found")
    assert developer.delete(f"{MEMBERS}/{bob}").status_code == 204
    problem(api.get("/policies"), 401, "not_authenticated")
    problem(developer.delete(f"{MEMBERS}/{bob}"), 404, "not_found")
    problem(developer.patch(f"{MEMBERS}/{bob}", {"role": "admin"}), 404, "not_found")


def test_everyone_leaves_but_only_some_remove_which_is_logged(developer: Api) -> None:
    (bob, api), (eve, _) = join(Role.AUDITOR), join(Role.AUDITOR, "eve@example.com")
    refusal = problem(api.delete(f"{MEMBERS}/{eve}"), 403, "role_insufficient")
    assert refusal["detail"] == "This requires the role owner or admin. The role here is auditor."
    (entry,) = log_entries(event="member.refused")
    assert entry.content["metadata"] == {"act": "removeMember", "role": "auditor", "right": "administer"}
    assert api.delete(f"{MEMBERS}/{bob}").status_code == 204
    problem(api.get(MEMBERS), 401, "not_authenticated")


def test_the_last_owner_stays(developer: Api) -> None:
    own = f"{MEMBERS}/{owner().id}"
    problem(developer.delete(own), 409, "last_owner")
    problem(developer.patch(own, {"role": "admin"}), 409, "last_owner")


@pytest.mark.parametrize(
    ("body", "field"), [({}, "role"), ({"role": "root"}, "role"), ({"role": "admin", "x": 1}, "x")]
)
def test_a_malformed_role_is_refused(developer: Api, body: Json, field: str) -> None:
    problem(developer.patch(f"{MEMBERS}/{owner().id}", body), 400, "validation_failed", field)


def test_activity_is_noted_at_most_every_ten_minutes(developer: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(later: timedelta) -> Any:
        monkeypatch.setattr(clock, "now", lambda: began + later)
        expect(200, developer.get(MEMBERS))
        return owner().last_active_at - began

    began = clock.now()
    steps = [timedelta(minutes=minutes) for minutes in (20, 25, 30)]
    assert [at(step) for step in steps] == [steps[0], steps[0], steps[2]]
