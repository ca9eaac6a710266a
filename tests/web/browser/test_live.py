"""Forms that change the page in place: a refusal is shown and announced, and no message is lost."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine

from accounts.models import User
from agents.models import Agent
from audit.models import Stream
from audit.sequencing.sequencer import sequence
from consent.models import Consent
from consent.pausing import pause_all_agents
from consent.services import revoke_consent
from core import clock
from developers.models import Developer
from policies.models import Policy
from tests.approvals import make_approval
from tests.audit.journals import write_row
from tests.constants import PASSWORD
from tests.waiting import wait_until
from tests.web.browser.conftest import Tab
from tests.world import as_user, make_agent

PAUSE = 3000  # as in steps.js

type OpenPage = Callable[[str], Any]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def open_page(open_tab: Any, ada: User) -> OpenPage:
    """Return a function that opens a page as Ada, with JavaScript, and marks the document as the same."""

    def open_one(path: str) -> Any:
        tab = open_tab(javascript=True)
        tab.open_as(ada.email, path)
        tab.page.evaluate("window.isSamePage = true")
        return tab

    return open_one


def requests_during(tab: Any, label: str, heading: str) -> list[tuple[str, str]]:
    """Press a button, wait for the heading, and return the method and the path of each request for a page."""
    sent: list[tuple[str, str]] = []
    kinds = ("document", "fetch")

    def note(request: Any) -> None:
        if request.resource_type in kinds:
            sent.append((request.method, urlsplit(request.url).path))

    tab.page.on("request", note)
    tab.page.get_by_role("button", name=label).first.click()
    tab.page.get_by_role("heading", name=heading).wait_for()
    tab.page.wait_for_function("document.getElementById('announcer').textContent")
    return sent


def heard(tab: Any) -> str:
    return str(tab.page.locator("#announcer").inner_text())


def test_a_form_without_its_csrf_token_is_refused_aloud(open_page: OpenPage, ada: User, granted: Consent) -> None:
    tab = open_page("/connections")
    tab.page.context.clear_cookies(name="csrftoken")
    sent = requests_during(tab, "Pause all agents", "Not allowed")
    assert sent == [("POST", "/connections/agents/pause")]
    assert (tab.focused(), heard(tab)) == ("Not allowed", "Not allowed")
    assert tab.page.evaluate("window.isSamePage")
    assert tab.page.get_by_role("navigation").get_by_role("link", name="Connections", exact=True).count() == 1
    tab.page.go_back()
    tab.page.get_by_role("button", name="Pause all agents").click()
    tab.page.get_by_role("button", name="Resume all agents").wait_for()
    ada.refresh_from_db()
    assert ada.agents_paused_at is not None


def test_a_conflict_is_shown_in_place(open_page: OpenPage, ada: User, granted: Consent) -> None:
    tab = open_page(f"/connections/{granted.id}")
    revoke_consent(actor=as_user(ada), consent=granted)
    sent = requests_during(tab, "Pause", "The connection has ended")
    assert sent == [("POST", f"/connections/{granted.id}/pause")]
    assert (tab.focused(), heard(tab)) == ("The connection has ended", "The connection has ended")


def test_an_answer_that_is_not_a_page_says_so(open_page: OpenPage, granted: Consent) -> None:
    tab = open_page("/connections")
    tab.page.route("**/connections/agents/pause", lambda route: route.fulfill(status=502, body="Bad gateway"))
    tab.page.get_by_role("button", name="Pause all agents").click()
    tab.page.locator("#announcer.toast").wait_for()
    assert "did not answer" in heard(tab)
    assert urlsplit(tab.page.url).path == "/connections"


def test_the_form_of_an_ended_session_leads_to_the_whole_sign_in_page(
    open_page: OpenPage, ada: User, granted: Consent
) -> None:
    tab = open_page("/connections")
    session = tab.page.context.cookies()
    tab.page.context.clear_cookies(name=next(one["name"] for one in session if "session" in one["name"]))
    sent = requests_during(tab, "Pause all agents", "Sign in")
    # The third is that of the passkeys, whose script runs.
    assert sent[:2] == [("POST", "/connections/agents/pause"), ("GET", "/accounts/login/")]
    assert tab.page.locator("link[href*=connections]").count() == 0
    assert tab.page.locator("link[href*=security]").count() == tab.page.locator("script[src*=passkey]").count() == 1
    assert tab.page.get_by_role("link", name="Connections", exact=True).count() == 0
    tab.sign_in(ada.email, PASSWORD)
    tab.page.get_by_role("button", name="Pause all agents").wait_for()


def test_all_agents_are_resumed_where_the_banner_is(open_page: OpenPage, ada: User, granted: Consent) -> None:
    pause_all_agents(actor=as_user(ada), user=ada)
    path = f"/approvals/{make_approval(granted).id}"
    tab = open_page(path)
    tab.page.get_by_role("button", name="Resume all agents").click()
    tab.page.locator("main").get_by_text("Resumed. Agents that you paused separately").wait_for()
    assert "Resumed." in heard(tab)
    assert urlsplit(tab.page.url).path == path
    assert tab.page.get_by_role("button", name="Approve once").count() == 1


def test_a_choice_before_the_password_is_said_to_be_undone(open_page: OpenPage, ada: User) -> None:
    tab = open_page("/account/notifications")
    box = tab.page.get_by_label("A sign-in with a new browser or program")
    box.uncheck()
    with time_machine.travel(time.time() + 360, tick=True):
        tab.page.get_by_role("button", name="Save").click()
        tab.page.get_by_label("Password").fill(PASSWORD)
        tab.page.get_by_role("button", name="Continue").click()
        tab.page.get_by_text("Nothing has been changed yet").wait_for()
        box.uncheck()
        tab.page.get_by_role("button", name="Save").click()
        tab.page.locator("main").get_by_text("Your choices are saved.").wait_for()
    ada.refresh_from_db()
    assert not ada.device_mails


def test_times_that_are_near_count_down_in_place(open_tab: Any, ada: User, granted: Consent) -> None:
    Consent.objects.filter(pk=granted.pk).update(expires_at=clock.now() + timedelta(minutes=60, seconds=10))
    tab = open_tab(javascript=True)
    tab.page.clock.install()
    tab.open_as(ada.email, "/connections")
    end, button = tab.page.locator("time[data-counted]"), tab.page.get_by_role("link", name="Revoke")
    end.get_by_text("in 1 hour").wait_for()
    place = button.bounding_box()
    tab.page.clock.fast_forward("51:00")
    end.get_by_text("in 9 minutes").wait_for()
    assert button.bounding_box() == place
    tab.page.locator(f"#pause-{granted.id}").click()
    end.get_by_text("in 1 hour").wait_for()  # as the server says, whose clock did not move
    said = heard(tab)
    tab.page.clock.fast_forward(5_000)
    end.get_by_text("in 9 minutes").wait_for()
    tab.page.clock.fast_forward("09:00")
    end.get_by_text("in a moment").wait_for()
    tab.page.clock.fast_forward("01:00")
    end.get_by_text("now (").wait_for()
    assert heard(tab) == said


def open_first_run(tab: Any, developer: Any) -> None:
    tab.open_as(developer.user.email, "/developer/")
    tab.page.locator(":root.js").get_by_text("0 of 4 done").wait_for()


def test_the_first_run_shows_what_happened_when_the_developer_comes_back(open_tab: Any, developer: Any) -> None:
    tab = open_tab(javascript=True)
    open_first_run(tab, developer)
    tab.page.clock.install()
    tab.page.clock.pause_at(clock.now() + timedelta(hours=1))
    tab.page.reload()  # no time passes on the page, so it asks nothing by itself
    make_agent(developer)
    tab.page.locator(":root.js").evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    tab.page.get_by_text("1 of 4 done").first.wait_for()


def test_the_steps_of_the_first_run_turn_green_by_themselves(open_tab: Any, developer: Any) -> None:
    tab = open_tab(javascript=True)
    tab.page.clock.install()
    open_first_run(tab, developer)
    tab.page.locator("#again").focus()
    # As long as the server says the same, what scripts have changed stays, and nothing is announced.
    tab.page.evaluate("document.querySelector('[data-follow] > *').dataset.changed = ''")
    for _poll in range(2):  # it asks again only once it has shown the first answer
        with tab.page.expect_response("**/developer/*/"):
            tab.page.clock.fast_forward(PAUSE)
    assert tab.page.locator("[data-changed]").count() == 1
    assert tab.page.locator("#announcer").text_content() == ""
    agent = make_agent(developer)
    tab.page.clock.fast_forward(PAUSE)
    tab.page.locator("#announcer").get_by_text("1 of 4 done").wait_for(state="attached")
    assert tab.page.locator(".start__step--done").count() == 1
    assert tab.focused() == "again"
    write_row(organization_id=developer.organization_id, agent_id=agent.id)
    tab.page.clock.fast_forward(PAUSE)
    tab.page.get_by_role("heading", name="Recent denials").wait_for()


@pytest.mark.parametrize("lost", ["session", "all cookies"])
def test_what_was_typed_stays_if_the_session_has_ended(open_tab: Any, developer: Any, lost: str) -> None:
    tab = open_tab(javascript=True)
    tab.open_as(developer.user.email, "/developer/policies/new")
    page = tab.page
    page.get_by_label("Name").fill("No mail")
    page.context.clear_cookies(name="sessionid" if lost == "session" else None)
    page.get_by_role("button", name="Save policy").click()
    with page.context.expect_page() as opened:
        page.locator("#announcer").get_by_role("link", name="Sign in").click()
    other = Tab(opened.value, tab.base_url)
    other.sign_in(developer.user.email, PASSWORD)
    other.page.get_by_text("No agent is connected yet").wait_for()
    assert page.get_by_label("Name").input_value() == "No mail"
    page.get_by_role("button", name="Save policy").click()
    page.get_by_role("heading", name="No mail").wait_for()
    assert Policy.objects.filter(name="No mail").count() == 1


def test_a_double_click_sends_a_form_once(open_tab: Any, developer: Any) -> None:
    tab = open_tab(javascript=True)
    tab.open_as(developer.user.email, "/developer/agents/new")
    page = tab.page
    page.get_by_label("Name", exact=True).fill("Ledgerbot")
    page.get_by_label("Redirect URIs, one per line").fill("https://ledger.example/callback")
    page.get_by_label("Search the scopes").fill("calendar:read")
    page.locator("#picker label:visible input").first.check()
    page.get_by_role("button", name="Register agent").dblclick()
    page.locator(".secret__value").wait_for()
    page.wait_for_timeout(500)
    assert Agent.objects.filter(name="Ledgerbot").count() == 1


def test_the_answer_of_a_trial_is_in_view(open_tab: Any, developer: Developer) -> None:
    agent = make_agent(developer, allowed_scopes=["email:read", "email:send"])
    tab = open_tab(javascript=True, width=320)
    tab.open_as(developer.user.email, f"/developer/agents/{agent.id}/try")
    tab.page.locator("[name=scopes][value='email:read']").check()
    tab.page.get_by_role("button", name="Allow", exact=True).click()
    heading = tab.page.get_by_role("heading", name="What verify answers", exact=True)
    for scope, outcome, why in (
        ("email:read", "Allowed", "no limit or policy"),
        ("email:send", "Denied", "The permission had not been granted"),
    ):
        tab.page.get_by_label("Required scope").select_option(scope)
        tab.page.get_by_role("button", name="Ask", exact=True).click()
        tab.page.locator("[data-announce] .pill", has_text=outcome).wait_for()
        tab.page.locator(".trial__result .card", has_text=why).wait_for()
        assert (tab.focused(), tab.shows(heading)) == ("answer", True)


# What the browser's own EventSource has heard: the numbers of events, by type. It resumes by itself.
LISTEN = """(types) => {
    window.heard = [];
    const source = window.source = new EventSource('/api/v1/events?limit=2&types=agent.*,consent.revoked');
    for (const type of types) {
        source.addEventListener(type, (event) => {
            window.heard.push([type, Number(event.lastEventId), JSON.parse(event.data).stream.number]);
        });
    }
}"""


def test_an_event_source_hears_each_event_once_and_resumes_after_the_last_number(
    open_tab: Any, developer: Developer
) -> None:
    for number in range(5):
        make_agent(developer, name=f"Agent {number}")
    write_row(3, organization_id=developer.organization_id)
    sequence()
    tab = open_tab(javascript=True)
    tab.open_as(developer.user.email, "/developer/")
    resumed: list[str | None] = []
    tab.page.on("request", lambda request: resumed.append(request.header_value("last-event-id")))
    tab.page.evaluate(LISTEN, ["agent.created", "token.verify"])
    wait_until(lambda: len(tab.page.evaluate("window.heard")) == 5)
    last = Stream.objects.get(pk=developer.organization_id).number
    with tab.page.expect_request(lambda request: request.header_value("last-event-id") == str(last)):
        pass  # the filter left the last ones out, and the browser goes on after them all the same
    make_agent(developer, name="Another")
    sequence()
    wait_until(lambda: len(tab.page.evaluate("window.heard")) == 6)
    heard_events = tab.page.evaluate("window.source.close() || window.heard")
    assert {(name, number == sent) for name, number, sent in heard_events} == {("agent.created", True)}
    numbers = [number for _, number, _ in heard_events]
    assert numbers == sorted({*numbers})
    assert numbers[-1] == last + 1
    assert resumed[:3] == [None, str(numbers[1]), str(numbers[3])]
    assert tab.take_complaints() == []
