"""Reports about agents, and their review, at the same time."""

import pytest

from agents.models import ReportedAgent
from agents.reports import Concern, report_agent, review_reports
from core.actor import SYSTEM
from tests.log import log_entries
from tests.threads import race
from tests.world import as_user, make_agent, make_developer, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_simultaneous_reports_of_a_user_are_one_and_of_others_are_not_lost() -> None:
    agent = make_agent(make_developer("dev@example.com"))
    users = [make_user(f"{name}@example.com") for name in ("ada", "ada2", "ada3")]

    def report(number: int) -> str:
        user = users[number]
        return report_agent(actor=as_user(user), user=user, agent=agent, concern=Concern.OTHER)

    found = race([lambda number=number: report(number) for number in (0, 0, 0, 1, 2)])
    assert len(set(found[:3])) == 1
    assert len(log_entries(event="agent.reported")) == 3
    assert ReportedAgent.objects.get().number == 3
    reviewed = race([lambda: review_reports(actor=SYSTEM, agent=agent, reason="Read.")] * 3)
    assert sorted(reviewed) == [False, False, True]
    (entry,) = log_entries(event="agent.reviewed")
    assert entry.content["metadata"]["reason"] == "Read."
    assert entry.organization_ids == []
    assert not ReportedAgent.objects.exists()
