"""Two acts of users at the same time."""

import threading
import time
from contextlib import suppress
from functools import partial

import pytest
from django.db import transaction

from accounts.models import User
from accounts.services import open_session
from accounts.session_ends import end_session
from agents.deletion import delete_agent
from agents.errors import InvalidRedirectUri
from agents.logos import FetchedLogo, save_logo
from agents.models import Agent, AgentLogo
from consent.errors import OtherBrowser
from consent.granting import approve_consent
from consent.models import Consent
from consent.services import open_in_browser
from core.actor import SYSTEM
from core.errors import Invalid, NotFound
from core.secrets import digest
from developers.acting import as_developer as acting_as
from developers.models import Developer
from policies.models import Policy
from policies.services import create_policy
from tests import world
from tests.log import log_entries
from tests.oauth.client import make_client
from tests.oauth.test_pushed_requests import push
from tests.pictures import png
from tests.threads import race
from tests.web.portal.policies.test_policy_history import NO_MAIL
from tests.web.public.test_logos import LOGO
from tests.web.user.consent.test_consent import url
from tests.web.user.consent.test_consent_withdrawn import remove_redirect_uri
from tests.world import ANONYMOUS, allow, as_user, make_agent

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_ends_of_one_session_at_once_log_one(ada: User) -> None:
    opened = open_session(actor=as_user(ada), user=ada)
    end = partial(end_session, actor=as_user(ada), user=ada, session_id=opened.session.id)
    outcomes = race([end, end])
    assert sorted(isinstance(outcome, NotFound) for outcome in outcomes) == [False, True]
    assert len(log_entries(event="user.session_ended", user_id=ada.id)) == 1


def test_two_clicks_at_once_return_the_same_code(as_ada, ask, ada):
    allow(ask(), ada)
    consent = ask()
    shown = as_ada.get(url(consent)).context["connection_state"]
    click = {"decision": "allow", "scopes": ["email:read"], "connection": shown}
    answers = race([lambda: as_ada.post(url(consent), click)] * 4)
    assert [answer.status_code for answer in answers] == [303] * 4
    assert len({answer["Location"] for answer in answers}) == 1


def test_only_one_of_many_browsers_can_open_a_pushed_request():
    oauth_client = make_client(world.make_developer("dev@example.com", "Acme"))
    consent_id = push(oauth_client).json()["request_uri"].rpartition(":")[2]

    def open_it(number: int) -> None:
        open_in_browser(consent=Consent.objects.get(id=consent_id), browser_digest=digest(str(number)))

    outcomes = race([partial(open_it, number) for number in range(8)])
    assert sorted(type(outcome) is OtherBrowser for outcome in outcomes) == [False] + [True] * 7


def test_removing_a_redirect_uri_during_an_approval_issues_no_code_for_it():
    """The approval waits until the redirect URI is removed."""
    agent = world.make_agent(world.make_developer("dev@example.com", "Acme"))
    ada, consent = world.make_user("ada@example.com"), world.ask(agent)
    withdrawn = threading.Event()

    def change() -> None:
        with transaction.atomic():
            remove_redirect_uri(agent)
            withdrawn.set()
            time.sleep(0.5)

    def decide():
        withdrawn.wait(10)
        return approve_consent(actor=SYSTEM, consent=consent, user=ada)

    assert isinstance(race([change, decide])[1], InvalidRedirectUri)


def test_a_policy_and_the_deletion_of_its_agent_leave_no_policy(developer):
    agent, actor = make_agent(developer), acting_as(ANONYMOUS, developer)

    def make():
        with suppress(Invalid):
            create_policy(actor=actor, organization=developer.organization, name="Late", rules=NO_MAIL, agent=agent)

    race([make, lambda: delete_agent(actor=actor, agent=agent)])
    assert not Policy.objects.exists()


def test_of_two_logos_at_once_the_digest_is_that_of_the_one_stored(developer: Developer, agent: Agent) -> None:
    actor = acting_as(ANONYMOUS, developer)
    pictures = [FetchedLogo(LOGO, png(side, side), "image/png") for side in (20, 24, 28)]
    race([partial(save_logo, actor=actor, agent=agent, logo=one) for one in pictures])
    stored = AgentLogo.objects.get()
    agent.refresh_from_db()
    assert agent.logo_digest == next(one.digest for one in pictures if one.content == bytes(stored.content))
