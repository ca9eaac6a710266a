"""Actions, forms and the emergency stop need a sign-in within the last minutes. Without it, nothing is done."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from administration.kept_form import LIFETIME_SECONDS
from agents.models import Agent, EmergencyStop
from core import clock
from developers.models import Organization
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


def test_the_reason_is_kept_through_the_password(stale: Client, world: World) -> None:
    act, edit = page_url(Agent, "act", world.agent.pk, "stop"), page_url(Agent, "edit", world.agent.pk)
    for path, sent in ((act, REASON), (edit, REASON), ("/admin/emergency-stop/", STOP)):
        stale.post(stale.post(path, sent)["Location"], {"password": PASSWORD})
        assert "It sent spam.</textarea>" in stale.get(path).content.decode()
        assert "It sent spam." not in stale.get(path).content.decode()
        assert not Agent.objects.get(pk=world.agent.pk).is_stopped
        forget_sign_in(stale)
    assert not EmergencyStop.objects.exists()


@cases("is_confirmed", [False, True])
def test_selected_rows_are_kept_through_the_password(is_confirmed: bool, stale: Client, world: World) -> None:
    other = Agent.objects.create(name="Other", client_type="public", authorization_grant_type="authorization-code")
    path, box = f"{list_url(Agent)}?status__exact=active", 'name="_selected_action" value="{}" checked'
    sent = {"action": "lift_stop", "_selected_action": world.agent.pk, **(REASON if is_confirmed else {})}
    asked = stale.post(path, sent)["Location"]

    assert stale.post(asked, {"password": PASSWORD})["Location"] == path
    html = stale.get(path).content.decode()
    assert box.format(world.agent.pk) in html
    assert box.format(other.pk) not in html
    assert '<option value="lift_stop" selected>' in html
    assert "Nothing has been changed yet" in html
    assert box.format(world.agent.pk) not in stale.get(list_url(Agent)).content.decode()  # another page

    html = stale.post(path, {"action": "lift_stop", "_selected_action": world.agent.pk}).content.decode()
    assert ("It sent spam.</textarea>" in html) is is_confirmed
    assert box.format(world.agent.pk) not in stale.get(path).content.decode()


def test_another_page_does_not_forget_what_was_kept_for_this_one(stale: Client, world: World) -> None:
    path = page_url(Agent, "act", world.agent.pk, "stop")
    stale.post(stale.post(path, REASON)["Location"], {"password": PASSWORD})
    stale.get(page_url(Organization, "act", world.agent.organization.pk, "suspend"))
    assert "It sent spam.</textarea>" in stale.get(path).content.decode()


def test_what_was_kept_is_forgotten_after_ten_minutes(stale: Client, world: World) -> None:
    path = page_url(Agent, "act", world.agent.pk, "stop")
    asked = stale.post(path, REASON)["Location"]
    with time_machine.travel(clock.now() + timedelta(seconds=LIFETIME_SECONDS + 1)):
        stale.post(asked, {"password": PASSWORD})
        assert "It sent spam." not in stale.get(path).content.decode()


def forget_sign_in(browser: Client) -> None:
    session = browser.session
    session["signed_in_at"] = 0
    session.save()


@cases("path", ["/admin/", "/admin/agents/agent/", "/admin/search/?q=SmartMail"])
def test_reading_needs_none(path: str, stale: Client, world: World) -> None:
    assert stale.get(path).status_code == 200
