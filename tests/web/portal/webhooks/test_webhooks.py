"""The pages of an organization's webhooks."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from standardwebhooks import Webhook as Reference

from core import clock
from core.formats import exactly
from developers.models import Developer
from developers.roles import Role
from events.models import Delivery, Webhook
from events.numbers import newest_number
from events.services import OVERLAP_SECONDS
from tests.core.servers import resolve_to
from tests.events.webhooks import follow, queue, webhook_for
from tests.log import log_entries
from tests.shared import cases
from tests.web.markup import main_of, markup_of, words_of
from tests.web.portal.agents.test_developer_agents import shown_secret
from tests.world import make_agent, make_member, sign_in_recently
from web.portal.webhooks import views

PATH = "/developer/settings/webhooks"
NEW = {"url": "https://hooks.example/in", "reach": "chosen", "types": ["consent.*", "consent.revoked", "agent.updated"]}


@pytest.fixture(autouse=True)
def _public(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "93.184.215.14")


@pytest.fixture
def webhook(developer: Developer) -> Webhook:
    """A webhook for which the entry of its own creation is outstanding."""
    follow()
    return queue(developer, "*")


def url(webhook: Webhook, act: str = "") -> str:
    return f"{PATH}/{webhook.pk}{act}"


def delivery_url(webhook: Webhook) -> str:
    return url(webhook, f"/deliveries/{webhook.deliveries.get().pk}")


def state(as_developer: Client, webhook: Webhook, **fields: object) -> str:
    """Return what the page says about a webhook with these values."""
    Webhook.objects.filter(pk=webhook.pk).update(**fields)
    page = main_of(words_of(as_developer.get(url(webhook))))
    return re.sub(r"<[^>]+>", "", page)


def test_a_new_webhooks_secret_is_shown_once(as_developer: Client, developer: Developer) -> None:
    response = as_developer.post(f"{PATH}/new", {**NEW, "decisions": "on"})
    webhook = Webhook.objects.get()
    assert (response.status_code, response["Location"]) == (303, as_developer.at(url(webhook)))
    assert (webhook.url, webhook.agent_ids) == ("https://hooks.example/in", None)
    assert webhook.types == ["consent.*", "agent.updated", "token.verify"], "consent.* has consent.revoked"
    secret = shown_secret(as_developer.get(url(webhook)))
    Reference(secret)
    assert secret not in markup_of(as_developer.get(url(webhook)))


def test_all_events_leave_out_decisions_unless_they_are_named(as_developer: Client) -> None:
    as_developer.post(f"{PATH}/new", {**NEW, "reach": "all"})
    as_developer.post(f"{PATH}/new", {**NEW, "reach": "all", "decisions": "on"})
    assert [one.types for one in Webhook.objects.order_by("pk")] == [["*"], ["*", "token.verify"]]


def test_a_webhook_can_be_limited_to_agents(as_developer: Client, developer: Developer) -> None:
    agent = make_agent(developer)
    as_developer.post(f"{PATH}/new", {**NEW, "agent_ids": [agent.id]})
    webhook = Webhook.objects.get()
    assert webhook.agent_ids == [agent.id]
    assert agent.name in markup_of(as_developer.get(url(webhook)))


@cases(
    ("changes", "message"),
    [
        ({"url": ""}, "Endpoint URL: This field is required."),
        ({"url": "http://hooks.example/"}, "Endpoint URL: Must be an https URL"),
        ({"url": "http://hooks.example/", "types": [], "decisions": ""}, "Endpoint URL: Must be an https URL"),
        (
            {"url": "http://hooks.example/", "types": [], "decisions": ""},
            "Event types: Choose at least one event type.",
        ),
        ({"types": ["nothing.*"]}, "Event types: Select a valid choice."),
        ({"types": ["webhook.test"]}, "Event types: Select a valid choice."),
        ({"agent_ids": ["agt_0"]}, "Limit to these agents: Select a valid choice."),
    ],
)
def test_a_refusal_names_the_field_and_keeps_what_was_typed(
    as_developer: Client, changes: dict[str, object], message: str
) -> None:
    response = as_developer.post(f"{PATH}/new", {**NEW, "decisions": "on", **changes})
    assert response.status_code == 422
    page = unescape(response.content.decode())
    assert message in page
    form = response.context["form"]
    assert form["decisions"].value() is ("decisions" not in changes)
    assert form["types"].value() == changes.get("types", NEW["types"])
    assert f'value="{changes["url"]}"' in page if changes.get("url") else True
    assert not Webhook.objects.exists()


def test_the_form_has_each_type_that_can_be_chosen_with_its_sentence(as_developer: Client) -> None:
    page = markup_of(as_developer.get(f"{PATH}/new"))
    assert "The user or an administrator revoked the access of an agent." in page
    assert 'value="consent.revoked"' in page
    assert 'value="webhook.test"' not in page


def test_editing_shows_the_webhook_and_changes_it(as_developer: Client, webhook: Webhook) -> None:
    form = as_developer.get(url(webhook, "/edit")).context["form"]
    assert (form["url"].value(), form["reach"].value()) == (webhook.url, "all")
    response = as_developer.post(url(webhook, "/edit"), NEW)
    assert (response.status_code, response["Location"]) == (303, as_developer.at(url(webhook)))
    webhook.refresh_from_db()
    assert (webhook.url, webhook.types) == ("https://hooks.example/in", ["consent.*", "agent.updated"])


def test_a_test_event_goes_out_only_while_the_webhook_is_on(as_developer: Client, webhook: Webhook) -> None:
    as_developer.post(url(webhook, "/test"))
    assert log_entries(event="webhook.test").count() == 1
    as_developer.post(url(webhook, "/switch"), {"enabled": "false"})
    as_developer.post(url(webhook, "/test"))
    assert "The webhook is switched off" in markup_of(as_developer.get(url(webhook)))
    assert log_entries(event="webhook.test").count() == 1


def test_switching_on_again_offers_what_was_missed(as_developer: Client, webhook: Webhook) -> None:
    as_developer.post(url(webhook, "/switch"), {"enabled": "false"})
    assert "A member switched it off" in state(as_developer, webhook)
    response = as_developer.post(url(webhook, "/switch"), {"enabled": "true"})
    webhook.refresh_from_db()
    assert webhook.is_enabled
    page = as_developer.get(response["Location"])
    newest = newest_number(webhook.organization_id)
    assert page.context["most"] == newest - page.context["start"] > 0
    assert f"at most {page.context['most']} event" in words_of(page)
    assert f"Not all events after number {page.context['start']} were sent." in words_of(page)


def test_events_are_sent_again_from_a_number_on(as_developer: Client, webhook: Webhook) -> None:
    as_developer.post(url(webhook, "/replay"), {"after": "0"})
    webhook.refresh_from_db()
    assert webhook.cursor_number == 0
    page = as_developer.get(url(webhook, "/replay"), {"since": str(webhook.deliveries.get().number)})
    assert page.context["start"] == webhook.deliveries.get().number - 1
    response = as_developer.post(url(webhook, "/replay"), {"after": "999"})
    assert response.status_code == 422
    assert "Must be from 0 to" in markup_of(response)


def test_rotation_shows_the_new_secret_and_that_both_sign(as_developer: Client, webhook: Webhook) -> None:
    assert as_developer.get(url(webhook, "/rotate")).context["form"]["overlap_seconds"].value() == OVERLAP_SECONDS
    response = as_developer.post(url(webhook, "/rotate"), {"overlap_seconds": "3600"})
    page = as_developer.get(response["Location"])
    Reference(shown_secret(page))
    assert "Deliveries are signed with both secrets" in markup_of(page)


def test_a_deleted_webhook_is_gone(as_developer: Client, webhook: Webhook) -> None:
    assert webhook.url in markup_of(as_developer.get(url(webhook, "/delete")))
    response = as_developer.post(url(webhook, "/delete"))
    assert response["Location"] == as_developer.at(PATH)
    assert as_developer.get(url(webhook)).status_code == 404
    assert "No webhooks yet" in markup_of(as_developer.get(PATH))


def test_the_page_says_what_the_webhook_does(as_developer: Client, webhook: Webhook) -> None:
    assert "Nothing was delivered yet." in state(as_developer, webhook)
    now = clock.now()
    assert "Last delivery just now" in state(as_developer, webhook, delivered_at=now)
    behind = state(as_developer, webhook, cursor_index=0, cursor_number=0)
    assert "Sent up to event 0 of 2." in behind
    webhook.deliveries.update(due_at=now + timedelta(minutes=5))
    failing = state(as_developer, webhook, failing_since=now - timedelta(hours=2))
    assert f"Failing since {' '.join(exactly(now - timedelta(hours=2), 'short').split())}" in failing
    assert "Next try in 5 minutes" in failing
    webhook.deliveries.update(due_at=now, tried_at=now, attempt=1, response_status=503)
    trying = state(as_developer, webhook)
    assert "503 Service Unavailable, just now" in trying
    assert "Next try" not in trying.split("Deliveries")[0]
    off = {"is_enabled": False, "disabled_at": now, "disabled_reason": "gone", "cursor_number": 1}
    gone = state(as_developer, webhook, **off)
    assert "Switched off by AgentGate" in gone
    assert "because the endpoint answered 410 Gone. Events up to number 1 were sent. The newest is 2." in gone
    assert "all tries of its oldest event failed" in state(as_developer, webhook, disabled_reason="failing")


def test_a_full_webhook_says_that_events_wait(as_developer: Client, webhook: Webhook) -> None:
    first, now = webhook.deliveries.get(), clock.now()
    Delivery.objects.bulk_create(
        Delivery(
            webhook=webhook,
            entry_id="log_0",
            leaf_index=first.leaf_index + number,
            number=number,
            created_at=now,
            due_at=now,
        )
        for number in range(1, 100)
    )
    full = state(as_developer, webhook, failing_since=now)
    assert "Failing, events wait" in full
    assert "100 events are outstanding." in full
    webhook.deliveries.update(attempt=2)
    assert "Next try just now" not in state(as_developer, webhook)
    webhook.deliveries.filter(pk=first.pk).update(due_at=now + timedelta(minutes=5))
    assert "Next try in 5 minutes" in state(as_developer, webhook)


def test_deliveries_show_the_answer_escaped_and_can_be_sent_again(as_developer: Client, webhook: Webhook) -> None:
    tried = {"attempt": 3, "tried_at": clock.now(), "response_status": 503, "duration_ms": 1250}
    webhook.deliveries.update(status="failed", due_at=None, response_body="<b>down</b>", **tried)
    page = markup_of(as_developer.get(url(webhook)))
    assert "503 Service Unavailable" in page
    assert "1,250 ms" in page
    delivery = webhook.deliveries.get()
    detail = as_developer.get(delivery_url(webhook)).content.decode()
    assert "&lt;b&gt;down&lt;/b&gt;" in detail
    assert f"logs/{delivery.entry_id}" in detail
    assert '"type": "webhook.created"' in unescape(detail)
    assert '"ip"' not in unescape(detail)
    as_developer.post(delivery_url(webhook))
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt) == ("retrying", 0)


def test_deliveries_are_filtered_by_status(as_developer: Client, webhook: Webhook) -> None:
    assert len(as_developer.get(url(webhook), {"status": "retrying"}).context["deliveries"]) == 1
    assert len(as_developer.get(url(webhook), {"status": "nonsense"}).context["deliveries"]) == 1
    page = as_developer.get(url(webhook), {"status": "failed"})
    assert page.context["deliveries"] == []
    assert "No deliveries with this status" in markup_of(page)


def test_a_full_list_says_so_instead_of_offering_another(
    as_developer: Client, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Add webhook" in markup_of(as_developer.get(PATH))
    monkeypatch.setattr(views, "MAX_WEBHOOKS", 1)
    page = markup_of(as_developer.get(PATH))
    assert "at most 1 webhooks" in page
    assert "Add webhook" not in page


def test_the_addresses_of_deliveries_are_those_of_the_operator(as_developer: Client, settings) -> None:
    assert "ask the operator of this AgentGate" in markup_of(as_developer.get(PATH))
    settings.WEBHOOK_ADDRESSES = ("203.0.113.7/32", "2001:db8::/64")
    page = markup_of(as_developer.get(PATH))
    assert "<code>203.0.113.7</code>" in page
    assert "<code>2001:db8::/64</code>" in page


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.AUDITOR])
def test_members_who_do_not_administer_only_read(developer: Developer, webhook: Webhook, role: Role) -> None:
    browser = sign_in_recently(make_member(developer, "member@example.com", role).user)
    home = f"/developer/{developer.organization_id}/settings/webhooks"
    for path in (home, f"{home}/{webhook.pk}", f"{home}/{webhook.pk}/deliveries/{webhook.deliveries.get().pk}"):
        whole = markup_of(browser.get(path))
        page = main_of(whole)
        assert "<form" not in page
        assert "button--primary" not in page
        assert "https://hooks.example<" in whole
        assert "t0ken" not in whole, "The path of a URL can be a token."


def test_another_organization_finds_nothing(as_rival: Client, webhook: Webhook) -> None:
    for act in ("", "/edit", "/rotate", "/replay", "/delete"):
        assert as_rival.get(url(webhook, act)).status_code == 404
    for act in ("/test", "/switch", "/rotate", "/delete", "/edit"):
        sent = {**NEW, "enabled": "false", "overlap_seconds": "0", "after": "0"}
        assert as_rival.post(url(webhook, act), sent).status_code == 404
    assert as_rival.post(delivery_url(webhook)).status_code == 404


def test_a_delivery_belongs_to_its_webhook(as_developer: Client, developer: Developer, webhook: Webhook) -> None:
    other = webhook_for(developer)
    found = webhook.deliveries.get()
    assert as_developer.get(url(other, f"/deliveries/{found.pk}")).status_code == 404
