"""The pages of approvals: what is shown, each button, and what a second decision sees."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from approvals.models import Approval
from consent.models import Consent
from consent.pausing import pause_all_agents
from consent.terms import DATA_FLOW
from core import clock
from developers.models import Developer, Organization
from tests.approvals import Asks, make_approval
from tests.constants import PASSWORD
from tests.shared import cases
from tests.web.ledger import words_of
from tests.world import allow, as_user, grant_to, hand_over, let_delegate, make_agent, make_resource_server


@pytest.fixture
def asks(granted: Consent) -> Asks:
    return lambda **fields: make_approval(granted, **fields)


@pytest.fixture
def asked(asks: Asks) -> Approval:
    return asks()


def page(approval: Approval) -> str:
    return f"/approvals/{approval.id}"


def undo(approval: Approval) -> str:
    return f'action="/approvals/{approval.id}/revoke"'


def status_of(approval: Approval) -> str:
    return str(Approval.objects.get(pk=approval.pk).status)


def text(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status
    return str(answer.content.decode())


class TestThePage:
    def test_shows_all_that_is_asked(self, as_ada: Client, asks: Asks) -> None:
        context = {
            "verb": "Pay",
            "recipient": ["bob@example.com", "eve@example.com"],
            "amount": {"value": "12.50", "currency": "EUR"},
            "text": "Dear Bob,\n\there it is",
            "diff": "-old\n+new",
            "invoice": {"lines": [{"name": "Pen"}], "paid": False, "notes": []},
        }
        asked = asks(context=context, resource="https://bank.example/1", action="payments:charge")
        html = text(as_ada.get(page(asked)))
        shown = [
            "Pay",
            "bob@example.com, eve@example.com",
            "€12.50",
            "https://bank.example/1",
            "Take payments from you",
        ]
        shown += [
            "Dear Bob,\n\there it is",
            "<del>-old</del><ins>+new</ins>",
            "invoice.lines.0.name",
            "Pen",
            "invoice.paid",
            "false",
        ]
        shown += ["invoice.notes", "[]", asked.code, "Send email as you", "SmartMail", "ada@example.com"]
        assert [each for each in shown if each not in html] == []
        assert "payments:charge" not in html
        assert html.count("bob@example.com, eve@example.com") == 2, "in the title and in the sentence"

    def test_says_in_words_what_digests_and_labels_mean(self, as_ada: Client, asks: Asks) -> None:
        digests = {"arguments": "a" * 64, "definition": "b" * 64}
        named = {"recipient": "bob@acme.com", "labels": ["outbound", "private"]}
        words = words_of(as_ada, page(asks(context={**digests, **named})))
        assert "What it may do with data Reads private data and Can send data out" in words
        assert (
            "An approval covers exactly what the agent sends now, also what is not shown here. "
            "An approval covers only the tool as the service describes it now." in words
        )
        assert f"Everything that is sent {'a' * 64} Version of the tool {'b' * 64}" in words.partition("Details")[2]
        assert "The agent may then send exactly the same again, to the same service. These must also" in words
        assert "may differ" not in words
        assert "The service did not say exactly what the agent sends." in words_of(as_ada, page(asks(context=digests)))
        listed = words_of(as_ada, "/approvals")
        assert "arguments" not in listed
        assert "labels" not in listed

    def test_never_says_as_a_fact_what_labels_only_suggest(self, as_ada: Client, asks: Asks) -> None:
        words = words_of(as_ada, page(asks(context={"labels": ["outbound"]}, asked_by_rule=DATA_FLOW)))
        assert "may have read private data" in words
        assert "this request may send something out" in words
        assert "wants to send" not in words

    @cases("target", [".", ["."]], ids=str)
    def test_says_in_words_what_the_folder_of_a_server_is(self, as_ada: Client, asks: Asks, target: Any) -> None:
        words = words_of(as_ada, page(asks(context={"target": target})))
        assert ": everything in its folder" in words
        assert "Target ." in words, "as it was sent, too"

    def test_shows_other_values_of_these_fields_as_they_were_sent(self, as_ada: Client, asks: Asks) -> None:
        words = words_of(as_ada, page(asks(context={"arguments": "A" * 64, "labels": ["private", "x"]})))
        assert f"arguments {'A' * 64}" in words
        assert "labels.0 private labels.1 x" in words
        assert "An approval covers" not in words

    def test_names_a_permission_that_the_agent_no_longer_has(self, as_ada: Client, asks: Asks) -> None:
        asked = asks(scopes=["payments:charge"], asked_scopes=["payments:charge"], context={})
        words = words_of(as_ada, page(asked))
        assert "asks for your approval: Take payments from you Critical risk" in words
        assert "payments:charge" not in words

    def test_says_what_the_agent_did_and_how_often_it_asked(self, as_ada: Client, asks: Asks) -> None:
        now = clock.now()
        assert "The first time in 30 days that it asks for your approval." in words_of(as_ada, page(asks()))
        for days, status in ((2, "used"), (29, "denied"), (31, "denied")):
            asks(now=now - timedelta(days=days), status=status, decided_at=now)
        words = words_of(as_ada, page(asks()))
        assert "Asked you 4 times in 30 days, you approved 1." in words
        assert "You allowed SmartMail" in words

    @cases("context", [{}, {"ip": "192.0.2.7"}, {"text": "Dear Bob"}], ids=str)
    def test_says_if_the_service_gave_no_details(self, as_ada: Client, asks: Asks, context: dict[str, str]) -> None:
        html = text(as_ada.get(page(asks(context=context))))
        is_silent = "The service did not say exactly what the agent sends." in html
        assert is_silent == ("text" not in context)

    def test_shows_texts_as_plain_text(self, as_ada: Client, asks: Asks) -> None:
        hostile = '<script>alert(1)</script>\u202eevil\u200b<a href="x">'
        context = {"verb": hostile, "text": hostile, hostile: hostile, "recipient": {"a": hostile}, "amount": hostile}
        html = text(as_ada.get(page(asks(context=context, resource=hostile))))
        assert "<script>alert" not in html
        assert '<a href="x">' not in html
        assert "\u202e" not in html
        assert "\\u202eevil\\u200b" in html

    def test_shows_unexpected_values_as_they_were_sent(self, as_ada: Client, asks: Asks) -> None:
        context = {"verb": 1, "recipient": [1, "a"], "amount": {"value": "1"}, "text": ["x"], "target": None}
        html = text(as_ada.get(page(asks(context=context))))
        shown = ["[1, &quot;a&quot;]", "{&quot;value&quot;: &quot;1&quot;}", "text.0", "null"]
        assert [each for each in shown if each not in html] == []

    def test_shows_the_last_of_many_fields(self, as_ada: Client, asks: Asks) -> None:
        html = text(as_ada.get(page(asks(context={f"field{number}": "x" for number in range(300)}))))
        assert "field299: x" in html

    def test_shows_fields_whose_names_look_like_others_or_like_nothing(self, as_ada: Client, asks: Asks) -> None:
        context = {"": "no name", "a.b": 1, "a": {"b": 2, "": 3}, "Amount": {"value": "5000"}, "x\u200b": "blank"}
        html = unescape(text(as_ada.get(page(asks(context=context)))))
        shown = ['<bdi>""<', "no name", '<bdi>"a.b"<', "<bdi>a.b<", '<bdi>a.""<', "Amount.value", '<bdi>"x\\u200b"<']
        assert [each for each in shown if each not in html] == []

    def test_an_amount_with_another_member_is_not_a_price(self, as_ada: Client, asks: Asks) -> None:
        amount = {"value": "10.00", "currency": "EUR", "multiplier": 100}
        asked = asks(context={"verb": "pay", "amount": amount, "recipient": "shop"})
        html = text(as_ada.get(page(asked)))
        assert "€10.00" not in html
        assert html.count("&quot;multiplier&quot;: 100") == 2, "in the title and in the sentence"

    def test_says_for_which_service_it_is(self, as_ada: Client, asks: Asks, rival: Developer) -> None:
        server = make_resource_server(rival, "https://mail.rival.example/api").server
        ours = {"audience": ["http://localhost:8000", server.identifier, "https://unknown.example/x"]}
        named = f"{server.name} at mail.rival.example (Rival Robotics)"
        asked = asks(server_id=server.id, **ours)
        words = words_of(as_ada, page(asked))
        assert f"Service: {named} An organization other than the agent\u2019s developer" in words
        access = f"Access to All services of the agent's developer {named} unknown.example"
        assert access in words
        assert f") {server.name} Review" in words_of(as_ada, "/approvals")
        anonymous = words_of(as_ada, page(asks(named_server_id=server.id)))
        assert f"Unconfirmed service: {named}" in anonymous
        assert "Service: unknown" in words_of(as_ada, page(asks()))
        assert "A service that has since been deleted" in words_of(as_ada, page(asks(server_id="res_gone")))

    def test_lists_name_what_their_sentence_does_not_say(self, as_ada: Client, asks: Asks) -> None:
        context = {"verb": "pay", "recipient": "shop", "account": "DE1", "c c": 1, "target": "", "amount": 0}
        asks(context=context)
        for path in ("/approvals", "/approvals?show=waiting"):
            assert 'with an account, "c c" and a target' in words_of(as_ada, path)

    def test_batches_name_what_their_sentences_do_not_say(self, as_ada: Client, asks: Asks) -> None:
        asks(context={"verb": "pay", "recipient": "shop", "account": "DE1"}, is_held=True)
        assert "with an account" in words_of(as_ada, "/approvals")

    def test_needs_few_queries(self, as_ada: Client, asks: Asks, django_assert_max_num_queries: Any) -> None:
        for _ in range(10):
            asks(status="denied", decided_at=clock.now(), target_digest="same")
        asked = asks(target_digest="same")
        with django_assert_max_num_queries(12):
            as_ada.get(page(asked))

    def test_is_the_users_own(self, as_bob: Client, client: Client, asked: Approval) -> None:
        absent = text(as_bob.get(page(asked)), 404)
        assert "This account has no such request" in absent
        assert "bob@example.com" in absent
        assert asked.id in absent  # the way back after signing in
        assert as_bob.post(page(asked), {"decision": "once"}).status_code == 404
        assert client.get(page(asked))["Location"] == f"/accounts/login/?next={page(asked)}"
        assert as_bob.get("/approvals/apr_none").status_code == 404
        assert status_of(asked) == "pending"


class TestDeciding:
    @cases(("decision", "status"), [("once", "approved"), ("deny", "denied")])
    def test_each_button(self, as_ada: Client, asked: Approval, decision: str, status: str) -> None:
        answer = as_ada.post(page(asked), {"decision": decision})
        assert (answer.status_code, answer["Location"]) == (303, f"{page(asked)}#outcome")
        assert status_of(asked) == status
        html = text(as_ada.get(page(asked)))
        assert f"<title>{status.title()}: Send an email to bob@example.com" in html
        assert 'id="outcome" tabindex="-1"' in html
        assert 'name="decision"' not in html
        assert "deny it" not in html
        words = words_of(as_ada, page(asked))
        assert ("SmartMail may do this once, within 60 minutes" in words) == (decision == "once")

    def test_leads_to_the_request_that_ends_next(self, as_ada: Client, as_bob: Client, asks: Asks) -> None:
        asked, now = asks(), clock.now()
        assert "Next request" not in text(as_ada.get(page(asked)))
        as_ada.post(page(asked), {"decision": "once"})
        html = text(as_ada.get(page(asked)))
        assert "Next request" not in html
        assert 'href="/approvals">Back to approvals' in html
        asks(expires_at=now)
        asks(expires_at=now + timedelta(minutes=2), is_held=True)
        later, sooner = (asks(expires_at=now + timedelta(minutes=minutes)) for minutes in (9, 5))
        html = text(as_ada.get(page(asked)))
        assert re.findall(r'href="(\S+)">Next request <span class="count">(\d+)', html) == [(page(sooner), "3")]
        as_ada.post(page(sooner), {"decision": "deny"})
        assert f'href="{page(later)}">Next request' in text(as_ada.get(page(sooner)))

    def test_denying_and_pausing(self, as_ada: Client, asked: Approval, granted: Consent) -> None:
        assert "Deny and pause the agent" in text(as_ada.get(page(asked)))
        as_ada.post(page(asked), {"decision": "pause"})
        assert status_of(asked) == "denied"
        assert Consent.objects.get(pk=granted.pk).paused_at
        assert "You have paused this agent" in text(as_ada.get(page(asked)))

    def test_for_a_time(self, as_ada: Client, asked: Approval) -> None:
        html = text(as_ada.get(page(asked)))
        assert "Approve the same for a while" in html
        assert "up to the same amount" not in html, "it has no amount"
        as_ada.post(page(asked), {"decision": "target", "seconds": "86400"})
        approved = Approval.objects.get(pk=asked.pk)
        assert (approved.status, approved.is_standing) == ("approved", True)
        assert approved.expires_at == approved.decided_at + timedelta(days=1)

        assert "Revoke this approval" in text(as_ada.get(page(asked)))
        answer = as_ada.post(f"{page(asked)}/revoke", follow=True)
        assert "Undone. The agent must ask you again." in text(answer)
        assert status_of(asked) == "expired"
        assert "Approval ended" in text(as_ada.get(page(asked)))

    def test_offers_no_time_beyond_the_connection(self, as_ada: Client, asked: Approval) -> None:
        assert re.findall(r'name="seconds" value="(\d+)"', text(as_ada.get(page(asked)))) == ["3600", "86400", "604800"]
        Consent.objects.update(expires_at=clock.now() + timedelta(minutes=59))
        assert 'name="seconds"' not in text(as_ada.get(page(asked)))

    def test_offers_no_time_for_a_request_without_a_target(self, as_ada: Client, asks: Asks) -> None:
        assert 'value="target"' not in text(as_ada.get(page(asks(context={"text": "x"}))))
        assert 'value="target"' in text(as_ada.get(page(asks())))

    @cases(
        "form", [{}, {"decision": "x"}, *({"decision": "target", "seconds": each} for each in ("", "x", "0", "9" * 10))]
    )
    def test_anything_else_decides_nothing(self, as_ada: Client, asked: Approval, form: Any) -> None:
        html = text(as_ada.post(page(asked), form), 400)
        assert "Approve once" in html
        assert status_of(asked) == "pending"

    @cases("first", ["once", "deny"])
    def test_a_second_decision_shows_the_first(self, as_ada: Client, asked: Approval, first: str) -> None:
        as_ada.post(page(asked), {"decision": first})
        before = status_of(asked)
        for second in ("once", "deny", "target"):
            html = text(as_ada.post(page(asked), {"decision": second, "seconds": "60"}), 409)
            assert "Your click changed nothing" in html
            assert before.title() in html
        assert status_of(asked) == before

    def test_an_expired_one_says_denied(self, as_ada: Client, asks: Asks) -> None:
        asked = asks(expires_at=clock.now())
        assert "Not decided in time, so denied" in text(as_ada.get(page(asked)))
        html = text(as_ada.post(page(asked), {"decision": "once"}), 410)
        assert "Not decided in time, so denied" in html
        assert "Approve once" not in html

    def test_an_inactive_connection_can_only_be_denied(self, as_ada: Client, asked: Approval) -> None:
        Consent.objects.update(paused_at=clock.now())
        html = text(as_ada.get(page(asked)))
        assert "You have paused this agent" in html
        assert "Approve once" not in html
        assert "Approve once" not in text(as_ada.post(page(asked), {"decision": "once"}), 409)
        as_ada.post(page(asked), {"decision": "deny"})
        assert status_of(asked) == "denied"

    def test_are_only_denied_while_all_agents_are_paused(self, as_ada: Client, asks: Asks, ada: User) -> None:
        asked = asks()
        pause_all_agents(actor=as_user(ada), user=ada)
        html = text(as_ada.get(page(asked)))
        assert "Resume all agents" in html
        assert "The connection is paused" not in html
        assert "Approve once" not in html
        refusal = text(as_ada.post(page(asked), {"decision": "once"}), 409)
        assert "You can deny the request, or resume all agents first." in refusal
        as_ada.post(page(asked), {"decision": "deny"})
        assert status_of(asked) == "denied"


class TestCriticalRequests:
    @pytest.fixture
    def browser(self, ada: User) -> Client:
        client = Client()
        client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD})
        return client

    def test_are_approved_after_a_recent_sign_in(self, browser: Client, asks: Asks) -> None:
        asked = asks(is_critical=True)
        html = text(browser.get(page(asked)))
        assert 'value="target"' not in html
        assert "enter your password" not in html
        assert browser.post(page(asked), {"decision": "target", "seconds": "60"}).status_code == 400
        assert browser.post(page(asked), {"decision": "once"}).status_code == 303
        assert status_of(asked) == "approved"

    def test_need_the_password_again_and_then_a_click(
        self, browser: Client, asks: Asks, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = asks(is_critical=True)
        later = clock.now() + timedelta(minutes=5)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert "To approve this, you enter your password or use a passkey first." in text(browser.get(page(asked)))
        answer = browser.post(page(asked), {"decision": "once"})
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=%2Fapprovals%2F")
        answer = browser.post(answer["Location"], {"password": PASSWORD})
        assert answer["Location"] == page(asked)
        assert status_of(asked) == "pending"
        assert "Nothing has been changed yet" in text(browser.get(page(asked)))
        browser.post(page(asked), {"decision": "once"})
        assert status_of(asked) == "approved"

    def test_are_denied_without_it(self, as_ada: Client, asks: Asks) -> None:
        asked = asks(is_critical=True)
        assert as_ada.post(page(asked), {"decision": "once"})["Location"].startswith("/accounts/reauthenticate/")
        as_ada.post(page(asked), {"decision": "deny"})
        assert status_of(asked) == "denied"


class TestTheList:
    def test_shows_what_waits_first_and_held_ones_as_a_batch(
        self, as_ada: Client, asks: Asks, developer: Any, world: Any, ada: User
    ) -> None:
        done, waiting = asks(status="used", decided_at=clock.now()), asks()
        held = [asks(is_held=True) for _ in range(2)]
        other = make_approval(allow(world.ask(make_agent(developer, name="Other")), ada), is_held=True)
        html = text(as_ada.get("/approvals"))
        assert html.index(waiting.id) < html.index(held[0].id) < html.index(done.id)
        assert "2 more requests of" in html
        assert "1 more request of" in html
        assert html.count("Deny all of these") == 2

        answer = as_ada.post("/approvals/held/deny", {"agent": waiting.agent_id}, follow=True)
        assert "2 requests denied." in text(answer)
        assert [status_of(each) for each in (*held, waiting, other)] == ["denied", "denied", "pending", "pending"]
        assert as_ada.get("/approvals/held/deny")["Location"] == "/approvals"

    @cases(("decided", "undecided", "is_suspicious"), [(7, 0, False), (0, 5, True), (7, 4, False)])
    def test_an_agent_is_suspicious_by_what_is_undecided(
        self, as_ada: Client, asks: Asks, decided: int, undecided: int, is_suspicious: bool
    ) -> None:
        """Beside the one that was held back, because the agent has asked for the sixth time within an hour."""
        for number in range(decided):
            asks(status="used", decided_at=clock.now(), is_held=number > 4)
        for _ in range(undecided):
            asks()
        asks(is_held=True)
        html = text(as_ada.get("/approvals"))
        assert "This agent asks so often that these were held back." in html
        assert ("may be wrong with it" in html) == is_suspicious

    def test_a_batch_is_summed_up_by_target(self, as_ada: Client, asks: Asks) -> None:
        for _ in range(3):
            asks(is_held=True, target_digest="bob")
        asks(is_held=True, target_digest="eve", context={"verb": "send", "recipient": "eve@example.com"})
        html = text(as_ada.get("/approvals"))
        rows = re.findall(r'<li class="asking">(.*?)</li>', html, re.DOTALL)
        assert "bob@example.com" in rows[0]
        assert "Asked 3 times, last " in rows[0]
        assert "eve@example.com" in rows[1]
        assert "Asked 1 time, " in rows[1]

    def test_a_batch_says_what_its_list_leaves_out(self, as_ada: Client, asks: Asks) -> None:
        for number in range(12):
            asks(is_held=True, target_digest=f"target {number}")
        html = text(as_ada.get("/approvals"))
        assert "12 more requests of" in html
        assert "7 more requests are not in this list. The buttons deny them, too." in html

    def test_only_the_largest_batches_are_shown_and_the_others_counted(
        self, as_ada: Client, developer: Any, world: Any, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.user.approvals.batches.MAX_BATCHES", 1)
        few, many = (allow(world.ask(make_agent(developer, name=name)), ada) for name in ("Few", "Many"))
        for consent in (few, many, many):
            make_approval(consent, is_held=True)
        html = text(as_ada.get("/approvals"))
        assert "2 more requests of" in html
        assert "1 more request of" not in html
        assert "Requests of 1 more agent were held back." in html

    def test_names_each_developer_once(self, as_ada: Client, asks: Asks) -> None:
        asks(), asks()
        assert words_of(as_ada, "/approvals").count("Developer not verified") == 1

    def test_a_batch_can_be_reviewed_one_by_one(
        self, as_ada: Client, asks: Asks, developer: Any, world: Any, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.user.approvals.views.PAGE_SIZE", 2)
        held = [asks(is_held=True) for _ in range(3)]
        other = make_approval(allow(world.ask(make_agent(developer, name="Other")), ada), is_held=True)
        path = f"?show=waiting&amp;agent={held[0].agent_id}"
        assert path in text(as_ada.get("/approvals"))
        html = text(as_ada.get(f"/approvals{path.replace('&amp;', '&')}"))
        (older,) = re.findall(r'href="(\?[^"]*cursor=[^"]+)"', html)
        rest = text(as_ada.get(f"/approvals{older.replace('&amp;', '&')}"))
        links = [f'href="{page(each)}"' for each in (*held, other)]
        assert [link in html for link in links] == [False, True, True, False]
        assert [link in rest for link in links] == [True, False, False, False]

    def test_all_that_waits_is_reachable(
        self, as_ada: Client, asks: Asks, as_bob: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.user.approvals.views.SHORT", 2)
        waiting = [*(asks() for _ in range(3)), asks(is_held=True)]
        html = text(as_ada.get("/approvals"))
        assert 'Waiting for you <span class="count">4</span>' in html, "the number in the menu"
        assert "?show=waiting" in html
        html = text(as_ada.get("/approvals?show=waiting"))
        assert [each.id in html for each in waiting] == [True] * 4
        assert "Nothing is waiting for you" in text(as_bob.get(f"/approvals?show=waiting&agent={waiting[0].agent_id}"))

    def test_all_that_is_allowed_without_asking_is_reachable(
        self, as_ada: Client, asks: Asks, as_bob: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.user.approvals.views.SHORT", 1)
        standing = [asks(status="approved", is_standing=True) for _ in range(2)]
        standing.append(
            asks(status="approved", is_standing=True, evidence={"per_day": 2, "answered": 3, "questions": 4})
        )
        html = text(as_ada.get("/approvals"))
        assert [undo(each) in html for each in standing] == [False, True, True]
        assert "?show=standing" in html
        html = text(as_ada.get("/approvals?show=standing"))
        assert [undo(each) in html for each in standing] == [True] * 3
        assert "It would have answered 3 of 4 questions as you did." in html
        assert "Nothing is allowed without asking" in text(as_bob.get("/approvals?show=standing"))

    def test_denying_a_batch_can_pause_the_agent(self, as_ada: Client, asks: Asks, granted: Consent) -> None:
        held = [asks(is_held=True) for _ in range(2)]
        answer = as_ada.post("/approvals/held/deny", {"agent": granted.agent_id, "then": "pause"}, follow=True)
        assert "2 requests denied. The agent is paused" in text(answer)
        assert Consent.objects.get(pk=granted.pk).paused_at
        assert [status_of(each) for each in held] == ["denied"] * 2

    def test_denying_nothing_pauses_nothing(self, as_ada: Client, asks: Asks, granted: Consent) -> None:
        asks()
        as_ada.post("/approvals/held/deny", {"agent": granted.agent_id, "then": "pause"})
        assert Consent.objects.get(pk=granted.pk).paused_at is None

    def test_nothing_of_others(self, as_bob: Client, asked: Approval) -> None:
        html = text(as_bob.get("/approvals"))
        assert asked.id not in html
        assert 'class="empty"' in html
        assert "Nothing is waiting for you" in html
        as_bob.post("/approvals/held/deny", {"agent": asked.agent_id})
        assert status_of(asked) == "pending"

    def test_has_pages(self, as_ada: Client, asks: Asks) -> None:
        for _ in range(21):
            asks(status="denied", decided_at=clock.now())
        html = text(as_ada.get("/approvals"))
        assert "Nothing is waiting for you" in html
        assert 'class="empty"' not in html
        waiting = asks()
        html = text(as_ada.get("/approvals"))
        (older,) = re.findall(r'href="(\?cursor=[^"]+)"', html)
        rest = text(as_ada.get(f"/approvals{older}"))
        assert waiting.id in html
        assert waiting.id not in rest
        assert rest.count("/approvals/apr_") == 1

    def test_needs_few_queries(self, as_ada: Client, asks: Asks, django_assert_max_num_queries: Any) -> None:
        for _ in range(10):
            asks()
            asks(status="denied")
        with django_assert_max_num_queries(12):
            as_ada.get("/approvals")

    def test_the_navigation_counts_what_waits(self, as_ada: Client, as_bob: Client, asks: Asks) -> None:
        def counted(client: Client) -> list[str]:
            return re.findall(
                r'>Approvals(?: <span class="count">([^<]+)</span>)?</a>', text(client.get("/connections"))
            )

        assert counted(as_ada) == [""]
        asks(status="denied")
        asks(expires_at=clock.now())
        asks(is_held=True)
        asks()
        assert counted(as_ada) == ["2"]
        assert counted(as_bob) == [""]
        for _ in range(100):
            asks()
        assert counted(as_ada) == ["99+"]


def test_the_log_has_a_sentence_for_each_event(as_ada: Client, asks: Asks) -> None:
    first, second = asks(), asks()
    as_ada.post(page(first), {"decision": "target", "seconds": "60"})
    as_ada.post(f"{page(first)}/revoke")
    as_ada.post(page(second), {"decision": "deny"})
    as_ada.post("/account/notifications", {"grant_mails": "on", "device_mails": "on"})
    words = words_of(as_ada)
    said = [
        "Send an email to bob@example.com You approved it",
        "Send an email to bob@example.com You revoked your approval",
        "Send an email to bob@example.com You denied it",
        "You changed the email settings",
    ]
    assert [each for each in said if each not in words] == []


class TestHandedOn:
    """Requests of agents that were handed the work by others."""

    @pytest.fixture
    def chained(self, ada: User, granted: Consent, rival: Developer) -> Approval:
        Organization.objects.filter(pk=rival.organization_id).update(is_verified=True)
        token, helper = grant_to(granted.agent, ada, ["email:send"]), make_agent(rival, name="Summarizer")
        consent = let_delegate(token, "verified")
        delegation, _issued = hand_over(token, helper, ["email:send"])
        return make_approval(consent, agent=helper, chain=[[granted.agent_id, None], [helper.id, delegation.id]])

    def test_the_page_names_the_chain_and_who_would_act(self, as_ada: Client, chained: Approval) -> None:
        words = words_of(as_ada, page(chained))
        assert "Your approval is asked for by SmartMail, through Summarizer:" in words
        assert "Summarizer is the agent that would act:" in words
        assert "handed it to Summarizer Rival Robotics" in words
        assert "This pauses SmartMail, with all that it has handed on." in words
        title = text(as_ada.get(page(chained))).partition("<title>")[2]
        assert title.startswith("SmartMail, through Summarizer asks:")

    def test_it_offers_no_approval_for_a_time(self, as_ada: Client, chained: Approval) -> None:
        shown = text(as_ada.get(page(chained)))
        assert "Approve once" in shown
        assert "Approve for 1 hour" not in shown
        answer = as_ada.post(page(chained), {"decision": "target", "seconds": "3600"})
        assert "Nothing was decided" in text(answer, 400)
        assert status_of(chained) == "pending"

    def test_lists_have_it_below_the_connections_agent(
        self, as_ada: Client, chained: Approval, granted: Consent
    ) -> None:
        shown = text(as_ada.get("/approvals"))
        assert f'id="asker-{granted.agent_id}"' in shown
        assert 'SmartMail</bdi>, through <bdi class="named">Summarizer</bdi>' in shown
        held = text(as_ada.get(f"/approvals?show=waiting&agent={granted.agent_id}"))
        assert page(chained) in held

    def test_what_is_held_back_is_denied_with_the_connections_other_requests(
        self, as_ada: Client, chained: Approval, granted: Consent
    ) -> None:
        own = make_approval(chained.consent, is_held=True)
        Approval.objects.filter(pk=chained.pk).update(is_held=True)
        assert "2 more requests of" in text(as_ada.get("/approvals"))
        as_ada.post("/approvals/held/deny", {"agent": granted.agent_id})
        assert (status_of(own), status_of(chained)) == ("denied", "denied")
