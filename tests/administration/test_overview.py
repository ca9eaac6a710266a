"""The overview and the navigation."""

import re
from datetime import timedelta
from html import unescape
from itertools import cycle, islice
from typing import Any

import time_machine
from django.contrib import admin
from django.db.models import Model
from django.test import Client

from administration.areas import AREAS, NOUNS
from administration.denials import MIN_SPIKE, Denials, Share, count_denials
from agents.services import stop_agent
from audit.events import Outcome
from audit.models import Entry
from audit.readers.snapshot import take_snapshot
from audit.sequencing.sequencer import sequence
from core import clock
from core.actor import SYSTEM
from core.models import TaskRun
from core.task_runs import record_run
from developers.services import suspend_organization
from tests.administration.test_pages import form_url, name_of
from tests.administration.world import World, sign_in
from tests.audit.journals import decision as decided
from tests.audit.journals import write_drafts
from tests.shared import cases

SWEEP = "tokens.tasks.sweep_tokens"
DENIALS = ("policy_denied", "insufficient_scope", "consent_revoked")


def shown(site: Client, path: str = "/admin/") -> str:
    return " ".join(site.get(path).content.decode().split("<main")[1].split())


def run(name: str, ago: timedelta = timedelta(0), error: str = "") -> None:
    record_run(name, started_at=clock.now() - ago, seconds=0.1, result=3, error=error)


def test_every_model_has_one_place() -> None:
    labels = [label for _name, nouns in AREAS for label in nouns]
    assert len(labels) == len(NOUNS)
    assert set(labels) == {model._meta.label_lower for model in admin.site._registry}


def test_new_agents_and_developers_to_verify_are_listed(site: Client, world: World) -> None:
    stop_agent(actor=SYSTEM, agent=world.agent, reason="Spam.")
    html = shown(site)
    for row in (world.agent, world.developer.organization):
        assert f'href="{form_url(row)}"' in html
    assert "Stopped by an administrator" in html
    assert "Stopped by an administrator" in shown(site, "/admin/agents/agent/")
    suspend_organization(actor=SYSTEM, organization=world.developer.organization, reason="Spam.")
    html = shown(site)
    for heading in ("New agents", "Developers not verified", "Stopped agents", "Suspended organizations"):
        assert (f'">{heading}</h2>' in html) == (heading != "New agents"), heading


def test_an_agent_is_new_for_a_week(site: Client, world: World) -> None:
    with time_machine.travel(clock.now() + timedelta(days=8), tick=False):
        html = shown(sign_in(world.administrator))
    assert ">New agents</h2>" not in html
    assert re.findall(r'<dt>([^<]+)</dt><dd class="figure"><a[^>]+>([^<]+)', html) == [
        ("Reported agents", "0"),
        ("Asking to be verified", "0"),
    ]


def test_what_administrators_did_is_one_list(site: Client, world: World) -> None:
    stop_agent(actor=SYSTEM.acting_as("administrator", world.administrator.id), agent=world.agent, reason="Spam.")
    html = shown(site)
    ((url, words),) = re.findall(r'href="([^"]+)">What administrators did</a></span><span class="small">([^<]+)', html)
    assert [row.event for row in site.get(unescape(url)).context["cl"].result_list] == ["agent.stopped"]
    assert words == "Last 7 days"


def test_failed_tasks_are_counted(site: Client, world: World) -> None:
    run(SWEEP)
    assert "None failed" in shown(site)
    run(SWEEP, error="OperationalError")
    assert '<span class="pill pill--bad">1 failed</span>' in shown(site)


@cases(
    ("now", "usual", "words"),
    [
        ((MIN_SPIKE - 1, 0), (0, 500), "few"),
        ((MIN_SPIKE, 0), (0, 0), "spike"),  # nothing to compare it with
        ((30, 70), (10, 90), "spike"),
        ((29, 71), (10, 90), ""),
        ((19, 71), (10, 90), ""),  # few, but as usual
        ((0, 20), (0, 90), ""),
        ((300, 2700), (10, 90), ""),  # ten times the denials, of thirty times the requests
        ((69, 31), (40, 60), ""),
        ((70, 30), (40, 60), "spike"),  # three times 40% is impossible
    ],
)
def test_a_spike_is_a_rate_of_enough_requests(now: tuple[int, int], usual: tuple[int, int], words: str) -> None:
    denials = Denials(Share(*now), Share(*usual), "")
    assert (denials.is_spike, denials.are_few) == (words == "spike", words == "few")


def test_a_rise_of_denials_leads_to_the_denials(site: Client, world: World) -> None:
    fields: dict[str, Any] = {"agent_id": world.agent.id, "outcome": Outcome.DENIED}
    write_drafts([decided(**fields, reason="approval_required") for _ in range(2 * MIN_SPIKE)])
    assert ">Usual</span>" in shown(site)
    allowed = count_denials(take_snapshot(), clock.now()).last_hour.allowed
    assert f"0 of {allowed} requests" in shown(site)
    write_drafts([decided(**fields, reason=reason) for reason in islice(cycle(DENIALS), MIN_SPIKE)])
    percent = Share(MIN_SPIKE, allowed).percent
    for _ in ("in the journal", "in the log"):
        html = shown(site)
        assert "Spike" in html
        (url,) = re.findall(rf'href="([^"]+)">{percent}</a>', html)
        assert len(site.get(unescape(url)).context["cl"].result_list) == MIN_SPIKE
        sequence()


def test_a_run_replaces_the_last_and_keeps_the_last_failure(world: World) -> None:
    failed = clock.now() - timedelta(hours=2)
    record_run(SWEEP, started_at=failed, seconds=1.0, result=None, error="OperationalError")
    run(SWEEP)
    row = TaskRun.objects.get(name=SWEEP)
    assert (row.result, row.error, row.failed_at) == (3, "", failed)


def test_a_task_records_its_runs(world: World) -> None:
    from consent.tasks import sweep_codes

    sweep_codes.apply()
    run = TaskRun.objects.get(name="consent.tasks.sweep_codes")
    assert (run.result, run.error, run.failed_at) == (0, "", None)


@cases("model", admin.site._registry, ids=name_of)
def test_a_list_is_marked_in_the_navigation(model: type[Model], site: Client, world: World) -> None:
    html = site.get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/").content.decode()
    assert html.count('aria-current="page"') == (
        2 if model is Entry else 3
    )  # the administration, the area, and the list beside others
