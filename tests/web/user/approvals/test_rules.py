"""Rules that follow from a user's answers: offered with evidence, replayed, accepted and undone on the pages."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from accounts.models import User
from agents.emergency import stop_everything
from agents.models import Agent
from agents.services import stop_agent
from approvals.models import Approval
from consent.models import Consent
from consent.pausing import pause_agent, pause_all_agents
from core import clock
from core.actor import SYSTEM
from core.secrets import digest
from tests.approvals import make_approval
from tests.log import log_entries
from tests.shared import cases, copied
from tests.web.browser.pages.approvals import answered, pay, teach
from tests.world import allow, as_user, ask

SHOP = "shop.example"


@pytest.fixture(scope="module")
def shared_granted(shared_agent: Agent, shared_ada: User) -> Consent:
    return allow(ask(shared_agent), shared_ada)


@pytest.fixture(scope="module")
def shared_example(shared_granted: Consent) -> Approval:
    return teach(shared_granted, SHOP)


granted = copied("shared_granted")
example = copied("shared_example")


def shown(html: Any) -> str:
    """Return the words of a page."""
    content = html.content.decode() if hasattr(html, "content") else html
    return " ".join(re.sub("<[^>]+>", " ", content).split())


def offer(browser: Client, path: str = "/approvals") -> dict[str, str]:
    """Return the fields of the only rule that the page offers."""
    html = browser.get(path).content.decode()
    (form,) = re.findall(r'action="/approvals/rules">(.*?)</form>', html, re.DOTALL)
    return dict(re.findall(r'name="(back|example|value|currency|per_day)" value="([^"]*)"', form))


def rules() -> list[Approval]:
    return list(Approval.objects.filter(evidence__isnull=False))


class TestOffers:
    def test_are_in_words_with_their_evidence(self, as_ada: Client, example: Approval) -> None:
        words = shown(as_ada.get("/approvals"))
        assert "Always allow: Pay up to €20.00 to shop.example , at most 7 times a day" in words
        assert "It would have answered 7 of 9 questions of the last 30 days as you did." in words
        assert "None that you denied would pass." in words

    def test_say_what_else_they_fix(self, as_ada: Client, example: Approval) -> None:
        for each in Approval.objects.all():
            each.context |= {"account": {"iban": "DE1"}}
            each.save()
        words = shown(as_ada.get("/approvals"))
        assert "All else must be the same." in words
        assert "And only if this is the same: account account.iban DE1" in words
        as_ada.post("/approvals/rules", offer(as_ada))
        assert "And only if this is the same: account account.iban DE1" in shown(as_ada.get("/approvals"))
        (rule,) = rules()
        assert "account.iban DE1" in shown(as_ada.get(f"/approvals/{rule.id}"))

    def test_say_if_all_that_is_sent_must_be_the_same(self, as_ada: Client, example: Approval) -> None:
        for each in Approval.objects.all():
            each.context |= {"arguments": "a" * 64}
            each.save()
        words = shown(as_ada.get("/approvals"))
        assert "The agent must send exactly the same." in words
        assert "The text, the changes and the task may differ" not in words
        assert f"And only if this is the same: Everything that is sent Everything that is sent {'a' * 64}" in words

    def test_are_tried_on_the_newest_questions(self, as_ada: Client, granted: Consent, example: Approval) -> None:
        answered(granted, SHOP, ["5"] * 45)
        words = shown(as_ada.get("/approvals"))
        assert "Try it on your 54 past questions" in words
        assert re.search(r"€19.90 You approved it Would have been allowed", words)
        assert re.search(r"€45.00 You denied it Would still ask", words)
        assert re.search(r"€30.00 Not decided in time Would still ask", words)
        assert words.count("Would have been allowed") + words.count("Would still ask") == 50
        assert "And 4 older questions." in words

    def test_are_on_the_page_of_a_request(self, as_ada: Client, granted: Consent, example: Approval) -> None:
        asked = make_approval(granted, context=pay(SHOP, "19"), target_digest=digest(SHOP))
        words = shown(as_ada.get(f"/approvals/{asked.id}"))
        assert "Always allow: Pay up to €20.00 to shop.example" in words
        other = make_approval(granted, context=pay("other.example", "19"))
        assert "Always allow" not in shown(as_ada.get(f"/approvals/{other.id}"))

    def test_are_only_for_the_user_who_answered(self, as_bob: Client, example: Approval) -> None:
        assert "Always allow" not in shown(as_bob.get("/approvals"))

    def test_end_with_the_connection(self, as_ada: Client, example: Approval) -> None:
        Consent.objects.update(status="revoked")
        assert "Always allow" not in shown(as_ada.get("/approvals"))
        assert "Always allow" not in shown(as_ada.get(f"/approvals/{example.id}"))


STOPS: dict[str, Callable[[Consent, User], object]] = {
    "agent": lambda granted, ada: pause_agent(actor=as_user(ada), consent=granted),
    "all agents": lambda granted, ada: pause_all_agents(actor=as_user(ada), user=ada),
    "by its developer": lambda granted, ada: stop_agent(actor=SYSTEM, agent=granted.agent, reason="Spam."),
    "everything": lambda granted, ada: stop_everything(actor=SYSTEM, reason="Fire."),
    "scope": lambda granted, ada: Agent.objects.update(allowed_scopes=["email:read"]),
}


class TestAgentsThatAreStopped:
    """Of what the user or another has stopped, nothing is offered, and the button of an earlier page does nothing."""

    @cases("stop", STOPS)
    def test_are_not_asked_less(
        self, as_ada: Client, ada: User, granted: Consent, example: Approval, stop: str
    ) -> None:
        form = offer(as_ada)
        STOPS[stop](granted, ada)
        assert "Always allow" not in shown(as_ada.get("/approvals"))
        words = shown(as_ada.get(f"/approvals/{example.id}"))
        assert "Ask me less" not in words
        assert "Always allow" not in words
        assert "Nothing was allowed." in shown(as_ada.post("/approvals/rules", form, follow=True))
        assert rules() == []

    def test_keep_the_rules_that_the_user_can_undo(
        self, as_ada: Client, ada: User, granted: Consent, example: Approval
    ) -> None:
        assert "Ask me less" in shown(as_ada.get(f"/approvals/{example.id}"))
        as_ada.post("/approvals/rules", offer(as_ada))
        STOPS["everything"](granted, ada)
        (rule,) = rules()
        for path in ("/approvals", f"/approvals/{rule.id}"):
            assert "Undo" in shown(as_ada.get(path))


class TestOneClick:
    def test_accepts_and_one_undoes(self, as_ada: Client, example: Approval) -> None:
        answer = as_ada.post("/approvals/rules", offer(as_ada), follow=True)
        words = shown(answer)
        assert "Allowed from now on, without asking you." in words
        assert "Your limits and “Protect your data” still apply." in words
        assert "Pay up to €20.00 to shop.example" in words.partition("Allowed without asking")[2]
        assert "Always allow" not in words
        (rule,) = rules()
        assert (rule.status, rule.is_standing, rule.expires_at) == ("approved", True, rule.consent.expires_at)

        words = shown(as_ada.post(f"/approvals/{rule.id}/revoke", {"back": "list"}, follow=True))
        assert "Undone. The agent must ask you again." in words
        assert "Always allow: Pay up to €20.00 to shop.example" in words

    def test_leads_back_to_the_request(
        self, as_ada: Client, as_bob: Client, granted: Consent, example: Approval
    ) -> None:
        asked = make_approval(granted, context=pay(SHOP, "19"), target_digest=digest(SHOP))
        form = offer(as_ada, f"/approvals/{asked.id}")
        assert as_ada.post("/approvals/rules", form)["Location"] == f"/approvals/{asked.id}#less"
        assert "Undo" in shown(as_ada.get(f"/approvals/{asked.id}"))
        (rule,) = rules()
        for back in ("apr_others", "//evil.example", "\0", ""):
            answer = as_ada.post(f"/approvals/{rule.id}/revoke", {"back": back})
            assert answer["Location"] == f"/approvals/{rule.id}#outcome"

    def test_has_a_page_with_undo(self, as_ada: Client, example: Approval) -> None:
        as_ada.post("/approvals/rules", offer(as_ada))
        (rule,) = rules()
        words = shown(as_ada.get(f"/approvals/{rule.id}"))
        assert "may do this without asking: Pay up to €20.00 to shop.example" in words
        assert "Undo: ask me again" in words

    def test_is_on_the_connection_and_ends_there_with_one_click(self, as_ada: Client, example: Approval) -> None:
        as_ada.post("/approvals/rules", offer(as_ada))
        (rule,) = rules()
        connection = f"/connections/{rule.consent_id}"
        words = shown(as_ada.get(connection))
        assert "Pay up to €20.00 to shop.example , at most 7 times a day" in words
        assert "A rule that follows from your answers" in words
        answer = as_ada.post(f"/approvals/{rule.id}/revoke", {"back": "connection"}, follow=True)
        assert answer.request["PATH_INFO"] == connection
        assert "A rule that follows from your answers" not in shown(answer)

    def test_is_in_the_log_in_words(self, as_ada: Client, example: Approval) -> None:
        as_ada.post("/approvals/rules", offer(as_ada))
        (rule,) = rules()
        as_ada.post(f"/approvals/{rule.id}/revoke")
        words = " ".join(strip_tags(as_ada.get("/activity").content.decode()).split())
        assert "Pay shop.example You allowed it without asking" in words
        assert "Pay shop.example You withdrew the rule" in words
        (accepted,) = [each for each in log_entries() if each.content["metadata"].get("expiresAt")]
        assert accepted.content["userId"] == rule.user_id


class TestRefusals:
    @pytest.fixture
    def form(self, as_ada: Client, example: Approval) -> dict[str, str]:
        return offer(as_ada)

    @cases("change", [{"value": "21"}, {"value": ""}, {"currency": "USD"}, {"per_day": "8"}, {"per_day": "6"}])
    def test_another_limit_than_follows(self, as_ada: Client, form: dict[str, str], change: dict[str, str]) -> None:
        answer = as_ada.post("/approvals/rules", form | change, follow=True)
        assert "Nothing was allowed. Your answers no longer lead to this rule." in shown(answer)
        assert "Always allow: Pay up to €20.00 to shop.example" in shown(answer)
        assert rules() == []

    @cases("change", [{"value": "x"}, {"example": "\0"}, {"example": ""}, {"per_day": ""}, {"per_day": "0"}])
    def test_what_no_button_sends(self, as_ada: Client, form: dict[str, str], change: dict[str, str]) -> None:
        assert as_ada.post("/approvals/rules", form | change).status_code == 400
        assert rules() == []

    def test_someone_elses_example(self, as_ada: Client, as_bob: Client, example: Approval) -> None:
        assert as_bob.post("/approvals/rules", offer(as_ada)).status_code == 404
        assert rules() == []

    def test_a_paused_agent(self, as_ada: Client, example: Approval) -> None:
        form = offer(as_ada)
        Consent.objects.update(paused_at=clock.now())
        answer = as_ada.post("/approvals/rules", form, follow=True)
        assert "Nothing was allowed. The connection is paused, or has ended or changed." in shown(answer)
        assert rules() == []
