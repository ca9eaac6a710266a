"""An organization's agents: their fields, their stops and their secrets."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from agents import services
from agents.client_secrets import rotate_client_secret
from agents.errors import AgentSuspended, InvalidClient
from agents.models import Agent, ClientSecret
from agents.services import (
    EDITABLE,
    authenticate_client,
    lift_agent_stop,
    register_agent,
    require_may_act,
    stop_agent,
    update_agent,
)
from agents.stops import Stopper
from audit.models import Entry
from core.actor import Actor
from core.errors import DomainError, Invalid
from developers.acting import as_developer
from developers.errors import OrganizationSuspended
from developers.models import Developer
from developers.services import reactivate_organization, suspend_organization
from tests.constants import CALLBACK, MOMENT, NOON
from tests.log import log_entries
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS, make_agent

ADMINISTRATOR = Actor("administrator", "usr_root")

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(developer: Developer) -> Agent:
    return make_agent(developer, description="Reads mail")


def register(developer: Developer, **fields: Any) -> services.RegisteredAgent:
    fields = {"name": "SmartMail", "redirect_uris": [CALLBACK], "allowed_scopes": ["email:read"], **fields}
    return register_agent(actor=acting(developer), organization=developer.organization, **fields)


def acting(developer: Developer) -> Actor:
    return as_developer(ANONYMOUS, developer)


def update(agent: Agent, **changes: Any) -> Agent:
    return update_agent(actor=acting(Developer.objects.get()), agent=agent, changes=changes)


def rotate(agent: Agent, overlap_seconds: int = 0) -> str:
    actor = acting(Developer.objects.get())
    return rotate_client_secret(actor=actor, agent=agent, overlap_seconds=overlap_seconds).value


def stop(agent: Agent, reason: str = "It sent spam.") -> bool:
    return stop_agent(actor=ADMINISTRATOR, agent=agent, reason=reason)


def lift(agent: Agent) -> bool:
    return lift_agent_stop(actor=ADMINISTRATOR, agent=agent, reason="A mistake.")


def works(agent: Agent, secret: str) -> bool:
    try:
        return authenticate_client(actor=ANONYMOUS, client_id=agent.client_id, client_secret=secret) == agent
    except InvalidClient:
        return False


def entries(event: str) -> list[Entry]:
    return list(log_entries(event=event).order_by("id"))


INVALID = [
    ({"redirect_uris": []}, "validation_failed", ["redirectUris"]),
    ({"redirect_uris": [CALLBACK] * 21}, "validation_failed", ["redirectUris"]),
    (
        {"redirect_uris": ["http://a.example/", CALLBACK, "data:x"]},
        "validation_failed",
        ["redirectUris.0", "redirectUris.2"],
    ),
    ({"allowed_scopes": ["email:read", "mind:read"]}, "invalid_scope", ["allowedScopes.1"]),
]


@cases(("fields", "code", "errors"), INVALID)
def test_an_agent_with_an_invalid_field_is_not_registered(
    developer: Developer, fields: dict[str, Any], code: str, errors: list[str]
) -> None:
    with pytest.raises(DomainError) as refusal:
        register(developer, **fields)
    assert (refusal.value.code, [error.field for error in refusal.value.errors]) == (code, errors)
    assert not Agent.objects.exists()


@cases(("fields", "code", "errors"), INVALID)
def test_an_invalid_update_changes_nothing(agent: Agent, fields: dict[str, Any], code: str, errors: list[str]) -> None:
    before = contents()
    with pytest.raises(DomainError) as refusal:
        update(agent, name="Other", **fields)
    assert (refusal.value.code, [error.field for error in refusal.value.errors]) == (code, errors)
    assert contents() == before


def test_a_new_agent_is_confidential_active_and_its_organizations_own(developer: Developer) -> None:
    made = register(developer)
    agent = Agent.objects.get()
    assert agent.organization == developer.organization
    assert (agent.is_confidential, agent.is_stock, agent.may_act) == (True, False, True)
    assert works(agent, made.client_secret)
    assert made.client_secret not in repr(made)


def test_a_repeated_scope_is_stored_once_in_order(developer: Developer) -> None:
    agent = register(developer, allowed_scopes=["email:send", "email:read", "email:send"]).agent
    assert agent.allowed_scopes == ["email:send", "email:read"]
    assert update(agent, allowed_scopes=["db:read", "db:read"]).allowed_scopes == ["db:read"]


NEW_VALUES = {
    "name": "Ledgerbot",
    "description": "",
    "redirect_uris": ["https://a.example/", "https://b.example/"],
    "allowed_scopes": ["db:read"],
    "require_pkce": True,
    "homepage_url": "https://acme.com/",
    "privacy_url": "https://acme.com/privacy",
    "status": "suspended",
}


@cases("field", sorted(EDITABLE))
def test_an_update_keeps_the_fields_that_it_leaves_out(agent: Agent, field: str) -> None:
    before = Agent.objects.values().get()
    updated = update(agent, **{field: NEW_VALUES[field]})
    after = Agent.objects.values().get()
    assert {name for name in after if after[name] != before[name]} == {field, "updated"}
    shown = updated.redirect_uri_list if field == "redirect_uris" else getattr(updated, field)
    assert shown == NEW_VALUES[field]


@cases("field", ["client_id", "organization_id", "stopped_at", "client_type"])
def test_other_fields_cannot_be_updated(agent: Agent, field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        update(agent, name="Other", **{field: "x"})
    assert [error.field for error in refusal.value.errors] == [field]
    assert Agent.objects.get().name == agent.name


def test_an_update_is_logged_by_what_it_does_to_the_status(agent: Agent) -> None:
    for changes in ({"name": "Other"}, {"status": "suspended"}, {"status": "suspended"}, {"status": "active"}):
        update(agent, **changes)
    logged = log_entries(agent_id=agent.id).order_by("id").values_list("event", flat=True)
    assert list(logged) == ["agent.created", "agent.updated", "agent.suspended", "agent.updated", "agent.reactivated"]
    assert entries("agent.suspended")[0].content["metadata"] == {"changed": ["status"]}


def test_the_reason_is_the_organizations_suspension_then_the_stop_then_the_developers_own(
    developer: Developer, agent: Agent
) -> None:
    organization = developer.organization
    acts = [
        lambda: update(agent, status="suspended"),
        lambda: stop(agent),
        lambda: suspend_organization(actor=ADMINISTRATOR, organization=organization, reason="Fraud."),
        lambda: reactivate_organization(actor=ADMINISTRATOR, organization=organization, reason="Cleared."),
        lambda: lift(agent),
        lambda: update(agent, status="active"),
    ]
    reasons = []
    for act in acts:
        act()
        reasons.append(Agent.objects.get().stopped_by)
    own, stopped, suspended = Stopper.DEVELOPER, Stopper.ADMINISTRATOR, Stopper.ORGANIZATION
    assert reasons == [own, stopped, suspended, stopped, own, None]


def test_an_error_says_which_stop_applies(developer: Developer, agent: Agent) -> None:
    require_may_act(agent)
    stop(agent)
    with pytest.raises(AgentSuspended, match="An administrator has stopped the agent"):
        require_may_act(Agent.objects.get())
    suspend_organization(actor=ADMINISTRATOR, organization=developer.organization, reason="Fraud.")
    with pytest.raises(OrganizationSuspended):
        require_may_act(Agent.objects.get())


def test_an_update_that_read_the_agent_before_a_stop_does_not_lift_it(agent: Agent) -> None:
    stop(agent)
    assert update(agent, status="active", name="Other").is_stopped
    assert Agent.objects.get().is_stopped


def test_a_second_stop_keeps_the_first_reason(agent: Agent) -> None:
    assert [stop(agent, "Spam."), stop(agent, "Fraud.")] == [True, False]
    assert Agent.objects.get().stop_reason == "Spam."
    assert [entry.content["metadata"] for entry in entries("agent.stopped")] == [{"reason": "Spam."}]


def test_only_a_stop_can_be_lifted_and_only_once(agent: Agent) -> None:
    update(agent, status="suspended")
    assert not lift(agent)
    stop(agent)
    assert [lift(agent), lift(agent)] == [True, False]
    stopped = Agent.objects.get()
    assert (stopped.is_stopped, stopped.stop_reason, stopped.status) == (False, "", "suspended")
    assert len(entries("agent.stop_lifted")) == 1


def test_an_old_secret_works_until_the_overlap_ends(developer: Developer) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        made = register(developer)
        new = rotate(made.agent, 60)
        clock.move_to(NOON + timedelta(seconds=60) - MOMENT)
        assert (works(made.agent, made.client_secret), works(made.agent, new)) == (True, True)
        clock.shift(MOMENT)
        assert (works(made.agent, made.client_secret), works(made.agent, new)) == (False, True)


def test_without_an_overlap_all_old_secrets_stop_at_once(developer: Developer) -> None:
    made = register(developer)
    secrets = [made.client_secret, rotate(made.agent, 3600), rotate(made.agent)]
    assert [works(made.agent, secret) for secret in secrets] == [False, False, True]


def test_a_secret_works_only_for_its_own_agent(developer: Developer) -> None:
    first, second = register(developer), register(developer)
    rotate(first.agent)
    assert works(second.agent, second.client_secret)
    with pytest.raises(InvalidClient):
        authenticate_client(actor=ANONYMOUS, client_id=first.agent.client_id, client_secret=second.client_secret)


def test_a_stopped_agent_can_still_authenticate(developer: Developer) -> None:
    """So that its own errors say that it is stopped. Issuing tokens and deciding check the stop."""
    made = register(developer)
    update(made.agent, status="suspended")
    stop(made.agent)
    assert works(made.agent, made.client_secret)


CHANGES: dict[str, Callable[[Agent], object]] = {
    "agent.created": lambda agent: register(Developer.objects.get()),
    "agent.updated": lambda agent: update(agent, name="Other"),
    "agent.secret_rotated": rotate,
    "agent.stopped": stop,
    "agent.stop_lifted": lift,
}


@cases("event", CHANGES)
def test_a_change_is_in_the_organizations_log_with_its_actor(developer: Developer, agent: Agent, event: str) -> None:
    if event == "agent.stop_lifted":
        stop(agent)
    CHANGES[event](agent)
    entry = entries(event)[-1]
    actor = ADMINISTRATOR if "stop" in event else acting(developer)
    assert entry.content["actor"] == {"kind": actor.kind, "id": actor.id}
    assert entry.organization_ids == [developer.organization_id]


@pytest.mark.parametrize("event", CHANGES)
def test_a_change_that_cannot_be_logged_does_not_happen(
    agent: Agent, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if event == "agent.stop_lifted":
        stop(agent)
    before = contents()
    monkeypatch.setattr(services, "record", fail)
    with pytest.raises(ZeroDivisionError):
        CHANGES[event](agent)
    assert contents() == before


def contents() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Agent, ClientSecret)]


def fail(*args: Any) -> None:
    raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
def test_of_several_rotations_at_once_one_secret_works(agent: Agent) -> None:
    for _ in range(3):
        secrets = race([partial(rotate, agent)] * 4)
        assert sum(works(agent, secret) for secret in secrets) == 1
        assert ClientSecret.objects.filter(expires_at=None).count() == 1
    assert len(entries("agent.secret_rotated")) == 12


@pytest.mark.django_db(transaction=True)
def test_of_several_stops_at_once_one_is_logged(agent: Agent) -> None:
    for number in range(1, 4):
        assert sorted(race([partial(stop, agent)] * 4)) == [False, False, False, True]
        assert len(entries("agent.stopped")) == number
        lift(agent)
