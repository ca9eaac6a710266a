"""Actions, forms and the emergency stop need a sign-in within the last minutes. Without it, nothing is done."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from agents.models import Agent, EmergencyStop
from tests.administration.test_edits import page_url
from tests.administration.test_pages import list_url
from tests.administration.world import World
from tests.constants import PASSWORD
from tests.shared import cases
from tests.world import sign_in

REASON = {"confirmed": "yes", "reason": "It sent spam."}
STOP = {"act": "stop", "reason": "It sent spam."}


@pytest.fixture
def stale(world: World) -> Client:
    """The administrator's browser, long after the password."""
    return sign_in(world.administrator)


def paths(world: World) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the path and the form of what needs a recent sign-in."""
    chosen = {"action": "stop", "_selected_action": world.agent.pk, "select_across": "0"}
    return {
        "one row": (page_url(Agent, "act", world.agent.pk, "stop"), REASON),
        "selected rows": (list_url(Agent), {**chosen, **REASON}),
        "all rows": (list_url(Agent), {**chosen, **REASON, "select_across": "1"}),
        "a form": (page_url(Agent, "edit", world.agent.pk), {"name": "Mallory", **REASON}),
        "access": (page_url(User, "edit", world.ada.pk), {"is_staff": "on", **REASON}),
        "a role": (page_url(Group, "new"), {"name": "Mallory", **REASON}),
        "everything": ("/admin/emergency-stop/", {"act": "stop", **REASON}),
    }


@cases("name", ["one row", "selected rows", "all rows", "a form", "access", "a role", "everything"])
def test_the_password_is_asked_for_and_nothing_is_done(name: str, stale: Client, world: World) -> None:
    path, form = paths(world)[name]

    answer = stale.post(path, form)

    assert answer.status_code == 303
    assert answer["Location"].startswith("/accounts/reauthenticate/?next=%2Fadmin%2F")
    assert not Agent.objects.exclude(stopped_at=None).exists()
    assert not Agent.objects.filter(name="Mallory").exists()
    assert not User.objects.get(pk=world.ada.pk).is_staff
    assert not Group.objects.filter(name="Mallory").exists()
    assert not EmergencyStop.objects.exists()


def test_the_page_of_an_action_asks_before_anything_is_typed_and_the_password_leads_back(
    stale: Client, world: World
) -> None:
    path = page_url(Agent, "act", world.agent.pk, "stop")
    asked = stale.get(path)["Location"]

    answer = stale.post(asked, {"password": PASSWORD})

    assert answer["Location"] == path
    assert stale.get(path).status_code == 200
    assert stale.post(path, REASON).status_code == 303
    assert Agent.objects.get(pk=world.agent.pk).is_stopped


@cases("path", ["/admin/", "/admin/agents/agent/", "/admin/search/?q=SmartMail"])
def test_reading_needs_none(path: str, stale: Client, world: World) -> None:
    assert stale.get(path).status_code == 200
