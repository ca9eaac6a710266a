"""What the consent screen promises, and verify keeps: limits, modes, targets, the end, and what is not granted."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine

from core import clock
from core.actor import SYSTEM
from policies.services import create_policy
from resources.catalogue import catalogue
from tests.oauth.client import OAuthClient, make_client
from tests.shared import cases
from tests.web.consent_screen import Screen, ruled, verify

PAY, SEND, READ = "payments:charge", "email:send", "email:read"


@pytest.fixture
def client_of(developer: Any) -> OAuthClient:
    return make_client(developer, allowed_scopes=[READ, SEND, "files:write", PAY])


def test_a_number_of_times_is_kept(client_of, ada):
    screen = Screen(client_of, ada, SEND)
    fields = {f"limit-number-{SEND}": "2", f"limit-window-{SEND}": "86400", f"mode-{SEND}": "allow"}
    token = screen.token(SEND, **fields)
    assert [ruled(verify(token, SEND)) for _ in range(3)] == [
        (True, None, None),
        (True, None, None),
        (False, "policy_denied", "rate_limit"),
    ]


def test_recipients_are_kept(client_of, ada):
    token = Screen(client_of, ada, SEND).token(SEND, **{f"limit-only-{SEND}": "acme.com", f"mode-{SEND}": "allow"})
    assert verify(token, SEND, context={"recipient": "bob@acme.com"})["allowed"]
    elsewhere = verify(token, SEND, context={"recipient": "bob@evil.com"})
    assert ruled(elsewhere) == (False, "policy_denied", "context_match")
    assert not verify(token, SEND)["allowed"], "a recipient that the service does not state is denied"


def test_ask_every_time_is_kept(client_of, ada):
    token = Screen(client_of, ada, SEND).token(SEND, **{f"mode-{SEND}": "ask"})
    assert verify(token, SEND, context={"recipient": "bob@acme.com"})["reason"] == "approval_required"


def test_the_end_is_kept(client_of, ada):
    end = clock.now() + timedelta(hours=1)
    with time_machine.travel(end - timedelta(hours=1), tick=False):
        tokens = Screen(client_of, ada, READ).tokens(READ, lifetime="3600")
    # An access token lasts for less than an hour, so only one that was refreshed lives until the end.
    with time_machine.travel(end - timedelta(minutes=1), tick=False):
        token = client_of.refresh(tokens["refresh_token"]).json()["access_token"]
        assert ruled(verify(token, READ)) == (True, None, None)
    with time_machine.travel(end, tick=False):
        assert ruled(verify(token, READ)) == (False, "consent_expired", None)


def test_what_a_rule_of_the_developer_refuses_is_marked(client_of, ada, developer):
    rule = {"type": "action_blocklist", "config": {"actions": ["email:send"]}}
    create_policy(actor=SYSTEM, organization=developer.organization, name="No mails", rules=[rule])
    screen = Screen(client_of, ada, READ, SEND)
    html = screen.html()
    assert html.count("A rule of <bdi>Acme Robotics</bdi> refuses this for now.") == 1
    assert html.index('value="email:send"') < html.index("refuses this for now")
    assert "<bdi>Send email as you</bdi>, refused for now" in html
    token = screen.token(READ, SEND)
    assert ruled(verify(token, SEND)) == (False, "policy_denied", "action_blocklist")
    assert ruled(verify(token, READ)) == (True, None, None)


def test_what_is_not_ticked_is_denied_and_so_is_what_it_cannot(client_of, ada):
    token = Screen(client_of, ada, READ, SEND).token(READ)
    assert verify(token, SEND)["reason"] == "insufficient_scope"
    assert verify(token, "email:manage")["reason"] == "insufficient_scope"


class TestErrors:
    @cases(
        ("field", "sent", "said"),
        [
            (f"limit-number-{SEND}", "many", "Enter a whole number"),
            (f"limit-only-{SEND}", "*@acme.com", "Leave out * and ?"),
        ],
    )
    def test_a_wrong_limit_is_named_and_nothing_is_lost(self, client_of, ada, field, sent, said):
        screen = Screen(client_of, ada, READ, SEND)
        fields = {field: sent, f"mode-{SEND}": "allow", "lifetime": "86400"}
        answer = screen.send(READ, SEND, **fields)
        html = unescape(answer.content.decode())
        assert answer.status_code == 422
        assert said in html
        assert f'<a href="#{field}">' in html
        assert f'name="{field}"' in html
        assert f'value="{sent}"' in html
        assert f'name="mode-{SEND}" value="allow" checked' in html
        assert '<option value="86400" selected>' in html
        assert re.findall(r'name="scopes" value="([a-z:]+)" checked', html) == [SEND, READ]

    def test_a_screen_with_nothing_ticked_keeps_the_other_choices(self, client_of, ada):
        screen = Screen(client_of, ada, SEND)
        answer = screen.send(**{f"limit-number-{SEND}": "7", f"mode-{SEND}": "allow", "lifetime": "86400"})
        html = unescape(answer.content.decode())
        assert answer.status_code == 422
        assert 'value="7"' in html
        assert f'name="mode-{SEND}" value="allow" checked' in html
        assert '<option value="86400" selected>' in html


def test_limits_are_kept_while_the_password_is_entered(client_of, ada):
    screen = Screen(client_of, ada, PAY)
    session = screen.browser.session
    session.pop("signed_in_at", None)
    session.save()
    limit = {f"limit-amount-{PAY}": "50", f"limit-currency-{PAY}": "EUR", f"limit-period-{PAY}": "86400"}
    answer = screen.send(PAY, **limit)
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    html = screen.html()
    assert "Nothing has been decided yet." in html
    assert re.search(rf'name="limit-amount-{PAY}"[^>]* value="50"', html)


def test_a_limit_is_removed_by_emptying_it_in_a_new_consent(client_of, ada):
    fields = {f"limit-number-{SEND}": "1", f"limit-window-{SEND}": "86400", f"mode-{SEND}": "allow"}
    Screen(client_of, ada, SEND).token(SEND, **fields)
    again = Screen(client_of, ada, READ, SEND)
    state = re.search(r'name="connection" value="([^"]*)"', again.html())[1]
    token = again.token(SEND, **{**fields, f"limit-number-{SEND}": "", "connection": state})
    assert [verify(token, SEND)["allowed"] for _ in range(2)] == [True, True]


@cases(("number", "is_offered"), [(12, True), (44, False)])
def test_limits_are_offered_unless_they_would_be_most_of_the_page(developer, ada, number, is_offered):
    client = make_client(developer, allowed_scopes=list(catalogue())[:number])
    assert ("limit-number" in Screen(client, ada, *client.agent.allowed_scopes).html()) == is_offered


class TestManyScopes:
    """Too many sensitive scopes for all their limits on one page: a button opens those of one scope."""

    @pytest.fixture
    def screen(self, developer: Any, ada: Any) -> Screen:
        client = make_client(developer, allowed_scopes=list(catalogue()))
        return Screen(client, ada, *client.agent.allowed_scopes)

    def opened(self, screen: Screen, **fields: Any) -> str:
        answer = screen.browser.post(screen.url, {"limits": SEND, "scopes": [READ], "lifetime": "86400", **fields})
        assert answer.status_code == 200
        return unescape(answer.content.decode())

    def test_each_sensitive_scope_has_a_button(self, screen: Screen) -> None:
        html = screen.html()
        assert f'name="limits" value="{SEND}" formaction="#limits-{SEND}"' in html
        assert f'name="limits" value="{READ}"' not in html

    def test_the_button_opens_the_limits_and_keeps_what_was_chosen(self, screen: Screen) -> None:
        html = self.opened(screen)
        assert f'id="limits-{SEND}" open' in html
        assert html.count('name="limit-number-') == 1
        assert f'name="limits" value="{SEND}"' not in html
        assert re.findall(r'name="scopes" value="([a-z:]+)" checked', html) == [READ]
        assert '<option value="86400" selected>' in html
        group = html.rindex('<details class="group', 0, html.index(f'id="limits-{SEND}"'))
        assert html[group:].partition(">")[0].endswith(" open")

    def test_opening_another_keeps_what_was_typed(self, screen: Screen) -> None:
        html = self.opened(screen, **{f"limit-only-{PAY}": "acme.com", f"limit-number-{PAY}": "3"})
        assert f'name="limit-number-{SEND}"' in html
        assert re.search(rf'name="limit-number-{PAY}"[^>]* value="3"', html)

    def test_a_limit_that_was_opened_is_kept_by_verify(self, screen: Screen) -> None:
        self.opened(screen)
        token = screen.token(SEND, **{f"limit-only-{SEND}": "acme.com", f"mode-{SEND}": "allow"})
        assert not verify(token, SEND, context={"recipient": "bob@evil.com"})["allowed"]

    def test_the_button_decides_nothing(self, screen: Screen) -> None:
        self.opened(screen, scopes=[SEND])
        assert 'name="decision"' in screen.html()
