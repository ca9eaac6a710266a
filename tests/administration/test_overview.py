"""The overview, the pages that join what belongs to a row, and the navigation."""

import re
from datetime import timedelta
from html import unescape
from itertools import cycle, islice
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.db.models import Model
from django.test import Client

from administration.areas import AREAS, NOUNS
from administration.denials import FEWEST
from administration.health import signs_of_health
from administration.labels import LABELS
from administration.vitals import HEARTBEAT, OLD_KEY, Status, count_overdue
from agents.services import stop_agent
from audit.events import Outcome
from audit.models import Journal
from audit.sequencing.sequencer import sequence
from core import clock
from core.actor import SYSTEM
from core.models import TaskRun
from core.task_runs import record_run
from developers.services import suspend_organization
from server.doctor.keys import check_signing_key
from server.doctor.log import check_sequencer
from server.doctor.services import check_sweeps, check_worker
from tests.administration.test_pages import form_url, name_of
from tests.administration.world import World, sign_in
from tests.audit.journals import decision as decided
from tests.audit.journals import write_drafts
from tokens import keys
from tokens.models import AccessToken, SigningKey

SWEEP = "tokens.tasks.sweep_tokens"
DENIALS = ("policy_denied", "insufficient_scope", "consent_revoked")


def shown(site: Client, path: str = "/admin/") -> str:
    return " ".join(site.get(path).content.decode().split("<main")[1].split())


def run(name: str, ago: timedelta = timedelta(0), error: str = "") -> None:
    record_run(name, started_at=clock.now() - ago, seconds=0.1, result=3, error=error)


def test_every_model_has_one_place_and_every_column_a_label() -> None:
    labels = [noun.label for area in AREAS for noun in area.nouns]
    assert len(labels) == len(NOUNS)
    assert set(labels) == {model._meta.label_lower for model in admin.site._registry}
    for model, page in admin.site._registry.items():
        names = {*page.list_display, *(name for _, part in page.get_fieldsets(None) for name in part["fields"])}  # type: ignore[arg-type]
        for name in names - {"action_checkbox"}:
            assert name in LABELS or hasattr(getattr(page, name, None), "short_description"), (model, name)


def test_new_agents_and_developers_to_verify_are_listed(site: Client, world: World) -> None:
    stop_agent(actor=SYSTEM, agent=world.agent, reason="Spam.")
    html = shown(site)
    for row in (world.agent, world.developer.organization):
        assert f'href="{form_url(row)}"' in html
    assert "Stopped by an administrator" in html
    suspend_organization(actor=SYSTEM, organization=world.developer.organization, reason="Spam.")
    html = shown(site)
    for heading in ("New agents", "Developers not verified", "Stopped agents", "Suspended organizations"):
        assert f'{heading} <span class="desk__number">1</span>' in html, heading


def test_an_agent_is_new_for_a_week(site: Client, world: World) -> None:
    with time_machine.travel(clock.now() + timedelta(days=8), tick=False):
        assert 'New agents <span class="desk__number">0</span>' in shown(sign_in(world.administrator))


def test_what_administrators_did_is_one_list(site: Client, world: World) -> None:
    stop_agent(actor=SYSTEM.acting_as("administrator", world.administrator.id), agent=world.agent, reason="Spam.")
    (url,) = re.findall(r'href="([^"]+)">What administrators did', shown(site))
    assert [row.event for row in site.get(url).context["cl"].result_list] == ["agent.stopped"]


def test_a_rise_of_denials_is_named_with_its_agents(site: Client, world: World) -> None:
    fields: dict[str, Any] = {"agent_id": world.agent.id, "outcome": Outcome.DENIED}
    write_drafts([decided(**fields, reason="approval_required") for _ in range(2 * FEWEST)])
    assert "No spike" in shown(site)
    assert "No denials in the last hour" in shown(site, "/admin/denials/")
    write_drafts([decided(**fields, reason=reason) for reason in islice(cycle(DENIALS), FEWEST)])
    for _ in ("in the journal", "in the log"):
        assert "Spike" in shown(site)
        html = shown(site, "/admin/denials/")
        assert form_url(world.agent) in html
        (url,) = re.findall(rf'href="([^"]+)">{FEWEST}</a></td>', html)
        assert len(site.get(unescape(url)).context["cl"].result_list) == FEWEST
        sequence()


def test_the_worker_is_well_while_its_heart_beats(site: Client, world: World) -> None:
    assert "Running." in shown(site)
    run(HEARTBEAT, timedelta(minutes=5))
    assert "Silent." in shown(site)
    TaskRun.objects.all().delete()
    assert "No worker has run yet." in shown(site)


@pytest.mark.parametrize(
    ("ago", "error", "words"),
    [
        (timedelta(0), "", "On time."),
        (timedelta(hours=1), "", f"Late: {SWEEP}."),
        (timedelta(0), "OperationalError", f"Failed: {SWEEP}."),
    ],
)
def test_sweeps_are_on_time_late_or_failed(ago: timedelta, error: str, words: str, site: Client, world: World) -> None:
    run(SWEEP, ago, error)
    assert words in shown(site)


def test_a_task_that_is_no_longer_scheduled_is_neither_late_nor_failed(site: Client, world: World) -> None:
    run("consent.tasks.sweep_of_an_earlier_version", timedelta(days=9), "OperationalError")
    run(SWEEP)
    assert "On time." in shown(site)


def test_an_old_key_is_to_be_rotated(site: Client, world: World) -> None:
    assert "Rotate it" not in shown(site)
    SigningKey.objects.update(activates_at=clock.now() - OLD_KEY - timedelta(days=1))
    assert "Rotate it" in shown(site)


def test_a_key_that_cannot_sign_is_not_working(site: Client, world: World) -> None:
    SigningKey.objects.update(private_sealed=b"damaged")
    assert "It is damaged: rotate it." in shown(site)
    SigningKey.objects.update(secret_id="0" * 32)
    assert "This JWT_SECRET opens no stored key." in shown(site)


def test_keys_under_a_former_secret_are_not_judged(world: World) -> None:
    SigningKey.objects.update(secret_id="0" * 32)
    keys.forget()
    keys.current_key()
    (sign,) = [sign for sign in signs_of_health(count_overdue()) if sign.title == "Signing key"]
    assert sign.kind == "good"
    assert {finding.status for finding in check_signing_key()} == {Status.OK}


def test_rows_that_no_sweep_deletes_are_counted(site: Client, world: World) -> None:
    AccessToken.objects.update(expires=clock.now() - timedelta(days=3))
    assert f"Expired, and waiting for a sweep: Access tokens: {AccessToken.objects.count()}" in shown(site)


def test_the_overview_and_the_doctor_agree(site: Client, world: World) -> None:
    kinds = {"good": {Status.OK}, "warn": {Status.WARNING}, "bad": {Status.PROBLEM}}
    checks = {"Worker": check_worker, "Sweeps": check_sweeps, "Sequencer": check_sequencer}
    checks["Signing key"] = check_signing_key
    AccessToken.objects.update(expires=clock.now() + timedelta(days=1000))
    run(SWEEP)
    for damaged in (0, 1):
        Journal.objects.bulk_create([Journal(body=b"damaged", written_at=clock.now())] * damaged)
        sequence()
        for later in (timedelta(0), timedelta(seconds=30), timedelta(minutes=5), timedelta(days=91)):
            with time_machine.travel(clock.now() + later, tick=False):
                for sign in signs_of_health(count_overdue()):
                    found = {finding.status for finding in checks[sign.title]()}
                    assert kinds[sign.kind] <= found, (damaged, later, sign)
                    assert sign.kind == "bad" or Status.PROBLEM not in found, (damaged, later, sign)


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


@pytest.mark.parametrize("model", admin.site._registry, ids=name_of)
def test_a_list_is_marked_in_the_navigation(model: type[Model], site: Client, world: World) -> None:
    html = site.get(f"/admin/{model._meta.app_label}/{model._meta.model_name}/").content.decode()
    assert html.count('aria-current="page"') == 2
