"""Buttons on the pages of connections pause and resume an agent, or all agents, without JavaScript."""

import re
from html import unescape

from django.test import Client
from django.utils.html import strip_tags

from accounts.models import User
from consent.models import Consent
from tests.approvals import make_approval
from tests.shared import cases
from tests.web.markup import text_of

PATHS = ("/connections/agents/pause", "/connections/agents/resume")


def press(client: Client, page: str, label: str) -> str:
    """Press the first button with this label, and return the page that follows."""
    forms = re.findall(r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', text_of(client, page), re.DOTALL)
    path = next(action for action, inner in forms if re.search(rf"(</svg>|<button[^>]*>){label}<", inner))
    response = client.post(path, follow=True)
    assert response.status_code == 200
    return unescape(response.content.decode())


@cases("is_list", [True, False])
def test_an_agent_is_paused_and_resumed(as_ada, granted, is_list):
    page = "/connections" if is_list else f"/connections/{granted.id}"
    assert "Paused" not in text_of(as_ada, page)

    shown = press(as_ada, page, "Pause")

    assert "Paused. All requests of SmartMail are denied until you resume it." in shown
    assert Consent.objects.get().paused_at is not None
    for path in ("/connections", f"/connections/{granted.id}"):
        assert '<span class="pill pill--warn">Paused</span>' in text_of(as_ada, path)
    assert "You paused this agent <time" in text_of(as_ada, f"/connections/{granted.id}")

    shown = press(as_ada, page, "Resume")

    assert "Resumed. SmartMail is no longer paused." in shown
    assert Consent.objects.get().paused_at is None
    assert '<span class="pill pill--good">Allowed</span>' in text_of(as_ada, f"/connections/{granted.id}")


def test_all_agents_are_paused_and_resumed(as_ada, granted):
    press(as_ada, "/connections", "Pause")

    assert "All agents are paused." in press(as_ada, "/connections", "Pause all agents")

    for path in ("/connections", f"/connections/{granted.id}"):
        assert "You paused all agents on" in text_of(as_ada, path)
    assert "Pause all agents" not in text_of(as_ada, "/connections")
    assert "still paused" in press(as_ada, "/connections", "Resume all agents")
    assert "You paused all agents" not in text_of(as_ada, "/connections")
    # The pause of one agent is another stop.
    assert '<span class="pill pill--warn">Paused</span>' in text_of(as_ada, "/connections")


def test_the_pause_of_all_agents_can_be_lifted_without_connections(as_ada, ada):
    as_ada.post("/connections/agents/pause")

    assert "Resume all agents" in text_of(as_ada, "/connections")


def test_the_buttons_name_the_agent_for_screen_readers(as_ada, granted):
    for path in ("/connections", f"/connections/{granted.id}"):
        name = '<span class="visually-hidden"> <bdi class="named">SmartMail</bdi></span>'
        assert f"Pause{name}</button>" in text_of(as_ada, path)


def test_an_ended_connection_has_no_button(as_ada, granted):
    as_ada.post(f"/connections/{granted.id}/revoke")

    for path in ("/connections?show=ended", f"/connections/{granted.id}"):
        assert not re.search(r"Pause<|Resume<", text_of(as_ada, path))
    assert as_ada.post(f"/connections/{granted.id}/pause").status_code == 409


@cases("act", ["pause", "resume"])
def test_another_users_connection_is_absent(as_bob, granted, act):
    assert as_bob.post(f"/connections/{granted.id}/{act}").status_code == 404
    assert as_bob.post(f"/connections/agents/{act}").status_code == 303
    assert Consent.objects.get().paused_at is None
    assert User.objects.get(email="ada@example.com").agents_paused_at is None


@cases("act", ["pause", "resume"])
def test_an_unusable_way_back_leads_to_the_connection(as_ada, granted, act):
    answer = as_ada.post(f"/connections/{granted.id}/{act}", {"next": "http://["})
    assert answer.status_code == 303
    assert answer["Location"] == f"/connections/{granted.id}"


@cases("name", ["/connections/{}", "/approvals/{}", "/approvals", "/connections"])
def test_all_agents_are_resumed_from_the_page_with_the_banner(as_ada, granted, name):
    path = name.format(granted.id if "connections" in name else make_approval(granted).id)
    as_ada.post("/connections/agents/pause")

    assert "You paused all agents on" in text_of(as_ada, path)
    assert f'name="next" value="{path}"' in text_of(as_ada, path)
    assert as_ada.post("/connections/agents/resume", {"next": path})["Location"] == path
    assert "You paused all agents on" not in text_of(as_ada, path)


def test_a_way_back_to_another_site_is_not_taken(as_ada, granted):
    answer = as_ada.post("/connections/agents/resume", {"next": "https://evil.example/"})
    assert answer["Location"] == "/connections"


@cases("act", ["pause", "resume"])
def test_get_changes_nothing(as_ada, granted, act):
    for path, page in ((f"/connections/{granted.id}", f"/connections/{granted.id}"), ("/connections/agents", None)):
        assert as_ada.get(f"{path}/{act}")["Location"] == (page or "/connections")
    assert Consent.objects.get().paused_at is None


@cases("path", PATHS)
def test_a_visitor_is_sent_to_the_sign_in(client, db, path):
    assert client.post(path)["Location"] == f"/accounts/login/?next={path}"


def test_the_activity_says_what_was_paused(as_ada, granted):
    for path in (f"/connections/{granted.id}", "/connections/agents"):
        for act in ("pause", "resume"):
            as_ada.post(f"{path}/{act}")

    shown = strip_tags(text_of(as_ada, "/activity"))
    for sentence in ("You paused SmartMail", "You resumed SmartMail", "You paused all agents", "You resumed all"):
        assert sentence in shown
