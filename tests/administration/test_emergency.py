"""The admin page that stops everything."""

import re
from html import unescape
from typing import Any

from django.contrib import admin
from django.test import Client

from agents.emergency import stop_everything
from agents.models import EmergencyStop
from audit.readers.reading import read_entry
from core.actor import SYSTEM
from tests.administration.test_actions import ask, confirm, newest_entry, verify
from tests.administration.test_pages import form_url, list_url
from tests.administration.world import World, sign_in, staff
from tests.log import log_entries
from tests.shared import cases

PAGE = "/admin/emergency-stop/"
REASON = "A leak of <tokens>."


def post(site: Client, act: str, reason: str = REASON) -> Any:
    return site.post(PAGE, {"act": act, "reason": reason}, follow=True)


def assert_shows_hits(html: str) -> None:
    number = log_entries(event="token.verify", outcome="allowed").count()
    allowed = f"{number} request{'s were' if number > 1 else ' was'} allowed in the last 24 hours, "
    handed = r"1 delegation to other agents is concerned, too\."
    assert re.search(rf"1 (connection stops|person is cut off) at once\. {handed} {allowed}", html)


def test_the_page_shows_what_the_stop_hits_and_changes_nothing(site: Client, world: World) -> None:
    assert verify(world) is None

    html = site.get(PAGE).content.decode()

    assert "<h1>Stop everything?</h1>" in html
    assert_shows_hits(html)
    assert "Proof" not in html
    assert verify(world) is None


def test_everything_is_stopped_and_the_stop_is_lifted_with_a_reason(site: Client, world: World) -> None:
    assert verify(world) is None
    html = post(site, "stop").content.decode()

    entry = newest_entry()
    assert "All agents are stopped." in html
    assert (entry.event, entry.content["actor"]["id"]) == ("everything.stopped", world.administrator.id)
    assert read_entry(entry).content["metadata"]["reason"] == REASON
    assert verify(world) == "service_suspended"
    shown = site.get(PAGE).content.decode()
    assert f"In force since {EmergencyStop.objects.get().stopped_at:%Y-%m-%d %H:%M}" in shown
    assert f'<a href="{form_url(entry)}"><code>{entry.id}</code></a>, index {entry.leaf_index} in the log' in shown
    assert "Allowed decisions after it, until now: 0" in shown

    html = post(site, "lift", "Over.").content.decode()

    assert "The stop is lifted." in html
    assert "Proof of the last stop" in html
    assert newest_entry().event == "everything.stop_lifted"
    assert verify(world) is None


def test_each_page_of_the_site_works_and_announces_the_stop(site: Client, world: World) -> None:
    stop_everything(actor=SYSTEM, reason=REASON)

    for path in ("/admin/", PAGE, *map(list_url, admin.site._registry)):
        answer = site.get(path)
        assert answer.status_code == 200, path
        html = answer.content.decode()
        assert "<p>All agents are stopped since 20" in html
        assert "Reason: <bdi>A leak of &lt;tokens&gt;." in html
    assert "All agents are stopped since" in sign_in(staff()).get("/admin/").content.decode()


def test_nothing_is_announced_without_a_stop(site: Client) -> None:
    assert "All agents are stopped" not in site.get("/admin/").content.decode()


@cases("act", ["stop", "lift"])
@cases("reason", ["", " ", "\u200b", "x" * 301])
def test_a_reason_is_required(act: str, reason: str, site: Client, world: World) -> None:
    if act == "lift":
        stop_everything(actor=SYSTEM, reason=REASON)

    assert post(site, act, reason).status_code == 422

    assert EmergencyStop.objects.exists() is (act == "lift")


@cases("permissions", [(), ("agents.change_agent", "developers.change_organization")])
def test_only_a_superuser_may_stop_or_lift(permissions: tuple[str, ...], world: World) -> None:
    site = sign_in(staff(*permissions))
    for act in ("stop", "lift"):
        assert post(site, act).status_code == 403
    assert site.get(PAGE).status_code == 403
    assert "Emergency stop" not in site.get("/admin/").content.decode()
    assert not EmergencyStop.objects.exists()

    stop_everything(actor=SYSTEM, reason=REASON)
    assert post(site, "lift").status_code == 403
    assert EmergencyStop.objects.exists()


def test_other_users_are_sent_to_the_sign_in(world: World) -> None:
    assert Client().get(PAGE).status_code == 302
    assert sign_in(world.ada).post(PAGE, {"act": "stop", "reason": REASON}).status_code == 302
    assert not EmergencyStop.objects.exists()


def test_a_click_on_an_outdated_page_changes_nothing(site: Client, world: World) -> None:
    assert "The stop was already lifted." in post(site, "lift").content.decode()
    post(site, "stop")
    assert "All agents were already stopped." in post(site, "stop", "Again.").content.decode()

    assert EmergencyStop.objects.get().reason == REASON
    assert post(site, "unknown").status_code == 200
    assert EmergencyStop.objects.exists()


def test_the_site_lists_no_rows_of_it() -> None:
    assert EmergencyStop not in admin.site._registry


@cases(("row", "action"), [("agent", "stop"), ("organization", "suspend")])
def test_other_stops_show_what_they_hit_and_their_proof(row: str, action: str, site: Client, world: World) -> None:
    target = world.agent if row == "agent" else world.developer.organization
    assert verify(world) is None
    html = ask(site, target, action).content.decode()
    assert_shows_hits(html)
    (url, number) = re.findall(r'Open approvals: <a href="([^"]+)">(\d+)</a>', html)[0]
    assert len(site.get(unescape(url)).context["cl"].result_list) == int(number) == 1

    form = f"{list_url(type(target))}{target.pk}/proof/"
    assert site.get(form).status_code == 404
    assert form not in site.get(form_url(target)).content.decode()
    confirm(site, target, action)

    assert f'href="{form}"' in site.get(form_url(target)).content.decode()
    html = site.get(form).content.decode()
    assert '<li>Last allowed decision before it: <a href="/admin/audit/entry/log_' in html
    urls = re.findall(r'href="(/admin/audit/entry/log_[^"]+)"', html)
    assert [f'href="{form}"' in site.get(url).content.decode() for url in urls] == [True, False]
    assert "<li>Allowed decisions after it, until now: 0</li>" in html
