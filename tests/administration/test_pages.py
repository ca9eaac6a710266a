"""Every admin page opens, shows no secret and needs few queries."""

import re
from typing import Any

from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.db.models import BinaryField, Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AddressCode, BrowserSession, KnownAddress, KnownDevice, Notice, PendingRegistration
from agents.models import AddedRedirectUri, Agent, AgentLogo, ClientSecret, EmergencyStop, ReportedAgent, UsedAssertion
from audit.models import (
    Archive,
    ArchivedObject,
    Checkpoint,
    Cosignature,
    Journal,
    LogKey,
    PersonalKey,
    Posting,
    Progress,
    Segment,
    Stream,
    Tile,
    WitnessFailure,
)
from consent.models import AuthorizationCode
from core.models import IdempotencyRecord
from developers.models import ApiKey, DomainClaim, Invitation
from insights.models import Edition, RollUp
from limits.models import Counter, Reservation
from policies.models import PolicyVersion
from resources.models import ReservedIdentifier, ResourceServerSecret, ScopePrefix
from tests.administration.world import World, sign_in, staff
from tests.constants import PASSWORD
from tests.shared import cases
from tokens.models import AccessToken, RefreshToken

MAX_QUERIES = 12
OURS = ("core", "audit", "insights", "accounts", "developers", "resources", "agents", "policies", "consent")
OURS += ("approvals", "tokens")
# Internal tables: useless to administrators, useful to attackers.
INTERNAL = (
    AccessToken,
    AddedRedirectUri,
    AddressCode,
    AgentLogo,
    ApiKey,
    AuthorizationCode,
    BrowserSession,
    Archive,
    ArchivedObject,
    Checkpoint,
    ClientSecret,
    Cosignature,
    Counter,
    DomainClaim,
    Invitation,
    Edition,
    IdempotencyRecord,
    Journal,
    KnownAddress,
    KnownDevice,
    LogKey,
    Notice,
    PendingRegistration,
    PersonalKey,
    PolicyVersion,
    Posting,
    Progress,
    RefreshToken,
    ReportedAgent,
    Reservation,
    ReservedIdentifier,
    ResourceServerSecret,
    RollUp,
    ScopePrefix,
    Segment,
    Stream,
    Tile,
    UsedAssertion,
    WitnessFailure,
)
ALL = [model for app in OURS for model in apps.get_app_config(app).get_models()]
# It has a page of its own: test_emergency.py.
WITHOUT_LIST = (*INTERNAL, EmergencyStop)
MODELS = [model for model in ALL if model not in WITHOUT_LIST] + [EmailAddress]
SECRET_FIELDS = {"digest", "token_checksum", "code", "password", "salt", "private_sealed", "sealed_answer"}
SECRET_FIELDS |= {"request_digest", "secret_id", "counts"}
INLINE = re.compile(r"<script(?![^>]*(?:src=|type=.application/json))|<style|\sstyle=|\son\w+=")


def name_of(model: type[Model]) -> str:
    return model._meta.label


def list_url(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def form_url(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def secrets_of(row: Model) -> set[str]:
    """Return the values of the row that must never be shown."""
    found = set()
    for field in row._meta.get_fields():
        if field.name in SECRET_FIELDS:
            value: Any = getattr(row, field.name)
            is_binary = isinstance(field, BinaryField)
            found.add(bytes(value or b"").hex() if is_binary else str(value))
    return found - {"", "None"}


def assert_hides(html: str, world: World, row: Model) -> None:
    for secret in world.shown | secrets_of(row):
        assert secret not in html


@cases("model", MODELS, ids=name_of)
def test_every_list_can_be_searched_with_few_queries_and_shows_no_secret(
    model: type[Model], site: Client, world: World
) -> None:
    assert model in admin.site._registry
    row = model._default_manager.all()[0]

    with CaptureQueriesContext(connection) as queries:
        answer = site.get(list_url(model), {"q": str(row.pk)})

    assert answer.status_code == 200
    assert len(queries) <= MAX_QUERIES
    assert_hides(answer.content.decode(), world, row)
    assert not INLINE.search(answer.content.decode())


@cases("model", MODELS, ids=name_of)
def test_every_row_opens_with_few_queries_and_shows_no_secret(model: type[Model], site: Client, world: World) -> None:
    row = model._default_manager.all()[0]

    with CaptureQueriesContext(connection) as queries:
        answer = site.get(form_url(row))

    assert answer.status_code == 200
    assert len(queries) <= MAX_QUERIES
    assert_hides(answer.content.decode(), world, row)
    assert not INLINE.search(answer.content.decode())


@cases("model", MODELS, ids=name_of)
def test_secrets_cannot_be_searched(model: type[Model]) -> None:
    for path in admin.site._registry[model].searches.values():
        assert not SECRET_FIELDS & set(path.split("__"))


def test_internal_tables_are_neither_listed_nor_opened(site: Client, world: World) -> None:
    html = site.get("/admin/").content.decode()
    for model in INTERNAL:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert model not in admin.site._registry
        assert path not in html
        assert site.get(path).status_code == 404
    token = AccessToken.objects.all()[0]
    assert site.get(f"/admin/tokens/accesstoken/{token.pk}/change/").status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_rows(site: Client, world: World) -> None:
    fields = {"organization": world.developer.organization, "client_type": "confidential", "redirect_uris": "x"}
    Agent.objects.bulk_create(
        Agent(name=f"Agent {n}", authorization_grant_type="authorization-code", **fields) for n in range(60)
    )

    with CaptureQueriesContext(connection) as queries:
        assert site.get(list_url(Agent)).status_code == 200

    assert len(queries) <= MAX_QUERIES


def test_unused_models_of_the_toolkit_are_not_listed(site: Client, world: World) -> None:
    html = site.get(reverse("admin:index")).content.decode()

    assert "/admin/agents/agent/" in html
    assert "/admin/oauth2_provider/" not in html


def test_signing_in_uses_our_throttled_and_logged_page(world: World, client: Client) -> None:
    answer = client.get("/admin/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")

    answer = client.get(answer["Location"])

    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=")


def test_djangos_own_sign_in_form_does_not_work(world: World, client: Client) -> None:
    answer = client.post("/admin/login/", {"username": world.administrator.email, "password": PASSWORD})

    assert answer["Location"].startswith("/accounts/login/?next=")
    assert "_auth_user_id" not in client.session


def test_guessing_an_administrators_password_is_throttled(world: World, client: Client, settings: Any) -> None:
    settings.THROTTLE_SIGN_IN = "3/minute"
    page = "/accounts/login/?next=/admin/"
    guesses = [*(f"wrong {n}" for n in range(4)), PASSWORD]

    answers = [client.post(page, {"login": world.administrator.email, "password": guess}) for guess in guesses]

    assert "Too many attempts" not in answers[0].content.decode()
    assert "Too many attempts" in answers[-1].content.decode()
    assert "_auth_user_id" not in client.session


@cases("path", ["/admin/", "/admin/login/", "/admin/agents/agent/"])
def test_a_user_who_is_not_an_administrator_is_refused(path: str, world: World) -> None:
    browser = sign_in(world.ada)
    answer = browser.get(path, follow=True)
    html = answer.content.decode()

    assert answer.status_code == 403
    assert "This page is for administrators" in html
    assert "You are signed in as <bdi>ada@example.com</bdi>" in html
    answer = browser.post("/accounts/logout/", {"next": "/admin/"}, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    assert browser.post("/admin/login/", {"username": "x"}).status_code == 302


def test_actions_are_hidden_without_the_change_permission(world: World) -> None:
    html = sign_in(staff("agents.view_agent")).get(list_url(Agent)).content.decode()

    assert "SmartMail" in html
    assert "Stop selected" not in html


def test_passwords_are_changed_on_our_logged_page(site: Client, world: World) -> None:
    assert site.get("/admin/password_change/")["Location"] == "/accounts/password/change/"
