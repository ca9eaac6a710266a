"""An approval is for the service that asked: each pair of callers, over HTTP, and what its user sees of the service."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from django.conf import settings

from accounts.models import User
from approvals.models import Approval
from approvals.standing_rules import accept_suggestion
from core.money import Amount
from developers.models import Organization
from tests.api.conftest import Api, Json, credentials, expect, initiate, new_agent, problem
from tests.api.test_approvals import BOOKS, new_service
from tests.shared import cases
from tests.world import as_user


@dataclass
class TwoServices:
    """A token for two services, A of the agent's organization and B of another one, and who may ask about it."""

    token: str
    services: dict[str, Api]
    user: Api

    ASKERS = ("A", "B", "A naming A", "anonymous", "anonymous naming A", "anonymous naming B")
    NAMES: ClassVar = {"A": BOOKS, "B": "https://notes.example"}

    def verify(self, asker: str, recipient: str, **context: Any) -> Json:
        caller, _, named = asker.partition(" naming ")
        body = {"token": self.token, "requiredScopes": ["email:send"], "context": {"recipient": recipient, **context}}
        resource = {"resource": self.NAMES[named]} if named else {}
        return expect(200, self.services.get(caller, Api()).post("/tokens/verify", {**body, **resource}))


@pytest.fixture
def two_services(developer: Api, rival: Api, ada: Any) -> TwoServices:
    services = {"A": new_service(developer), "B": new_service(rival, "https://notes.example")}
    agent = new_agent(developer, allowedScopes=["email:send"])
    consent = initiate(agent, requestedScopes=["email:send"], resource=[settings.API_URL, *TwoServices.NAMES.values()])
    code = expect(200, ada.post(f"/consent/{consent}/approve", {"modes": {"email:send": "ask"}}))["code"]
    tokens = expect(200, Api().post("/tokens/exchange", {"code": code, **credentials(agent)}))
    return TwoServices(tokens["accessToken"], services, ada)


TIME = {"for": "target", "expiresInSeconds": 600}


@cases(
    ("asker", "kind"), [*((asker, {"for": "once"}) for asker in TwoServices.ASKERS), ("A", TIME), ("anonymous", TIME)]
)
def test_an_approval_is_for_the_service_that_asked(two_services: TwoServices, asker: str, kind: Json) -> None:
    """Of each pair of callers, one that names itself or another among them, only the one that asked may use it."""
    asked = two_services.verify(asker, "bob")["approvalId"]
    expect(200, two_services.user.post(f"/approvals/{asked}/approve", kind))
    for other in TwoServices.ASKERS:
        if other != asker:
            decision = two_services.verify(other, "bob")
            assert (decision["allowed"], decision["reason"]) == (False, "approval_required"), other
            assert decision["approvalId"] != asked
    assert two_services.verify(asker, "bob")["allowed"] is True


def test_a_rule_from_answers_is_for_the_service_that_asked(two_services: TwoServices, ada: Any) -> None:
    user, sent = User.objects.get(pk=ada.id), {"amount": {"value": "5", "currency": "EUR"}}
    for number in range(5):
        asked = two_services.verify("B", "shop", text=str(number), **sent)["approvalId"]
        expect(200, ada.post(f"/approvals/{asked}/approve"))
        assert two_services.verify("A", "shop", text=str(number), **sent)["allowed"] is False
    example = Approval.objects.get(pk=asked)
    accept_suggestion(actor=as_user(user), example=example, user=user, ceiling=Amount("5", "EUR"), per_day=5)
    for asker in TwoServices.ASKERS:
        assert two_services.verify(asker, "shop", text="new", **sent)["allowed"] is (asker == "B")


def test_the_user_sees_for_which_service_it_is(two_services: TwoServices, rival: Api, ada: Any) -> None:
    found = two_services.verify("B", "bob")["approvalId"]
    organization = Organization.objects.get(resource_servers__identifier="https://notes.example")
    service = {
        "id": expect(200, rival.get("/resource-servers"))["items"][0]["id"],
        "identifier": "https://notes.example",
        "host": "notes.example",
        "name": "Service",
        "organization": {"id": organization.id, "name": organization.name},
    }
    shown = expect(200, ada.get(f"/approvals/{found}"))
    assert (shown["service"], shown["serviceAuthenticated"]) == (service, True)
    assert [one["host"] for one in shown["audience"]] == [None, "books.example", "notes.example"]
    assert shown["audience"][0]["identifier"] == settings.API_URL
    assert service in shown["audience"]
    (listed,) = (each for each in expect(200, ada.get("/approvals"))["items"] if each["id"] == found)
    assert listed["service"] == service
    named = expect(200, ada.get(f"/approvals/{two_services.verify('anonymous naming B', 'bob')['approvalId']}"))
    assert (named["service"], named["serviceAuthenticated"]) == (service, False)
    nothing = expect(200, ada.get(f"/approvals/{two_services.verify('anonymous', 'bob')['approvalId']}"))
    assert (nothing["service"], nothing["serviceAuthenticated"]) == (None, False)
    expect(204, rival.delete(f"/resource-servers/{service['id']}"))
    gone = expect(200, ada.get(f"/approvals/{found}"))["service"]
    assert gone == {"id": service["id"], "identifier": None, "host": None, "name": None, "organization": None}


def test_a_service_reads_what_it_asked_and_no_other_service(two_services: TwoServices) -> None:
    for asker, others in (("A", ("B",)), ("B", ("A",)), ("anonymous naming B", ())):
        found = two_services.verify(asker, "x")["approvalId"]
        reader = two_services.services["B" if "B" in asker else "A"]
        assert expect(200, reader.get(f"/approvals/{found}"))["status"] == "pending"
        for other in others:
            problem(two_services.services[other].get(f"/approvals/{found}"), 404, "not_found")
