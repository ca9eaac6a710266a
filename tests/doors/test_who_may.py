"""What each role gets at each door of an organization, and what another organization gets there.

`who_may.csv` has a row for each endpoint and page that works on one organization. Its cells are the status and, for a
refusal, its code. With the environment variable `WHO_MAY`, a test writes the rows that are true now to that file.
"""

import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern

from accounts.services import open_session
from api.endpoint import DeveloperEndpoint, OptionalCredentialEndpoint
from api.v1.urls import urlpatterns as endpoints
from audit.entries.drafts import Draft
from audit.events import Event
from audit.proof import exports
from audit.sequencing.sequencer import sequence
from audit.services import record
from core import clock
from core.rotation import AddedSecret, create_secret
from developers.models import Developer, Invitation
from developers.roles import Role
from policies.services import create_policy
from resources.custom_scopes import ScopeDefinition
from tests.doors.acts import ACTS, RULES
from tests.events.webhooks import queue
from tests.shared import cases, rows_of_module, unrendered
from tests.world import (
    ANONYMOUS,
    allow,
    ask,
    grant_to,
    hand_over,
    let_delegate,
    make_agent,
    make_developer,
    make_resource_server,
    make_user,
    sign_in_recently,
)
from web.portal.urls import urlpatterns as pages

TABLE = Path(__file__).with_name("who_may.csv")
LIMITED, OTHER = "limited key", "other organization"
CALLERS = [*map(str, Role), LIMITED, OTHER]
REFUSED = "403 role_insufficient"
PRINT = os.environ.get("WHO_MAY")
DAY = timedelta(days=1)

METHODS = ("get", "post", "patch", "delete")
API, PORTAL = "/api/v1/", "/developer/{organization}/"


def doors() -> list[str]:
    """Return all doors of an organization, such as `GET /api/v1/agents/{agent}`."""
    found = []
    for pattern in endpoints:
        view = pattern.callback.cls
        if issubclass(view, (DeveloperEndpoint, OptionalCredentialEndpoint)):
            found += [f"{name.upper()} {API}{_with_names(pattern)}" for name in METHODS if hasattr(view, name)]
    for pattern in pages:
        found += [f"{name} {PORTAL}{_with_names(pattern)}" for name in ("GET", "POST") if _takes(name, pattern)]
    return found


def _takes(method: str, pattern: URLPattern) -> bool:
    """Return whether the page takes the method. To anyone, all others answer 405."""
    path = re.sub(r"<int:\w+>", "1", str(pattern.pattern))
    path = re.sub(r"<[^>]+>", "xyz_0", path)
    return method == "GET" or Client().post(f"/developer/org_0/{path}").status_code != 405


def _with_names(pattern: URLPattern) -> str:
    return re.sub(r"<(?:\w+:)?(\w+?)(?:_id)?>", r"{\1}", str(pattern.pattern))


def sent() -> dict[str, Any]:
    """Return what the first act at each door sends."""
    return {_key(str(door)): door.sent for act in reversed(ACTS) for door in act.doors}


def _key(door: str) -> str:
    return re.sub(r"\{\w+\}", "*", door)


SENT = sent() | {
    "POST /api/v1/developers/api-keys": {"name": "own"},
    "POST /api/v1/policies/simulate": {
        "policy": {"name": "Mine", "rules": RULES},
        "request": {"agentId": "{agent}", "requiredScopes": ["email:read"]},
    },
    "POST /developer/*/settings/members/*/secrets": {"overlap_seconds": "3600"},
}


@dataclass(frozen=True)
class Office:
    """An organization with a member of each role and a key that is limited to one of its agents, and another one."""

    ids: dict[str, str]
    keys: dict[str, str]
    """The API key of each caller."""
    tokens: dict[str, dict[str, str]]
    browsers: dict[str, Client]

    def row(self, door: str) -> dict[str, str]:
        return {"door": door, **{caller: self.answer(door, caller) for caller in CALLERS}}

    def answer(self, door: str, caller: str) -> str:
        """Return the status for the caller and, of a refusal, the code. What the request did is undone."""
        method, path = door.split(" ", 1)
        if path.startswith("/developer") and caller not in self.browsers:
            return "-"
        ids = {**self.ids, "key": self.keys[caller]}
        before = transaction.savepoint_create()
        body = json.loads(json.dumps(SENT.get(_key(door), {})).replace("{agent}", ids["agent"]))
        text = _shown(self._call(method, path.format(**ids), body, caller))
        transaction.savepoint_rollback(before)
        return text

    def _call(self, method: str, path: str, body: Any, caller: str) -> Any:
        if not path.startswith(API):
            client = self.browsers[caller]
            return client.post(path, body) if method == "POST" else client.get(path)
        client = Client(headers=self.tokens[caller])
        if method == "GET":
            return client.get(path)
        return client.generic(method, path, json.dumps(body), content_type="application/json")


def _shown(answer: Any) -> str:
    if answer.streaming:
        answer.getvalue()
    if answer.status_code != 403:
        return str(answer.status_code)
    if answer.get("Content-Type", "").startswith("application/problem+json"):
        return f"403 {answer.json()['code']}"
    error = answer.context.get("error") if answer.context else None
    return f"403 {error.code}" if error else f"403 {answer.templates[0].name.rpartition('/')[2].removesuffix('.html')}"


def make_office() -> Office:
    owner = make_developer("owner@example.com")
    organization = owner.organization
    agent = make_agent(owner)
    members = {Role.OWNER: owner}
    for role in (Role.ADMIN, Role.DEVELOPER, Role.AUDITOR):
        user = make_user(f"{role}@example.com")
        members[role] = Developer.objects.create(user=user, organization=organization, role=role)
    another = Developer.objects.create(
        user=make_user("new@example.com"), organization=organization, role=Role.DEVELOPER
    )
    rival = make_developer("rival@example.com", "Rival")
    server = make_resource_server(
        owner, "https://mail.example/api", "email:read", ScopeDefinition("acme:read", "low", "Read", "Reads.", "Write.")
    ).server
    policy = create_policy(actor=ANONYMOUS, organization=organization, name="Mine", rules=RULES)
    consent = allow(ask(agent), make_user("ada@example.com"))
    entry = record(Draft(Event.AGENT_UPDATED, ANONYMOUS, organization_id=organization.id, agent_id=agent.id))
    now = clock.now()
    invitation = Invitation.objects.create(
        organization=organization, email="eve@example.com", role=Role.AUDITOR, invited_by=owner, created_at=now,
        expires_at=now + DAY,
    )  # fmt: skip
    webhook = queue(owner, "webhook.*")
    token = grant_to(agent, consent.user, ["email:read"])
    let_delegate(token)
    delegation, _issued = hand_over(token, make_agent(owner, name="Summarizer"), ["email:read"])
    ids = {
        "organization": organization.id,
        "agent": agent.id,
        "secret": agent.secrets.get().id,
        "server": server.id,
        "scope": "acme:read",
        "policy": policy.id,
        "number": "1",
        "entry": entry,
        "consent": consent.id,
        "member": another.id,
        "invitation": invitation.id,
        "webhook": webhook.pk,
        "delivery": webhook.deliveries.get().pk,
        "event": "consent.revoked",
        "delegation": delegation.pk,
    }
    callers = {**{str(role): member for role, member in members.items()}, OTHER: rival}
    keys = {name: _add_key(member).row.id for name, member in callers.items()}
    limited = _add_key(owner, role=Role.DEVELOPER, agent_ids=[agent.id])
    return Office(
        ids,
        {**keys, LIMITED: limited.row.id},
        {**{name: _session(member) for name, member in callers.items()}, LIMITED: {"X-Api-Key": limited.value}},
        {name: sign_in_recently(member.user) for name, member in callers.items()},
    )


def _add_key(developer: Developer, **fields: Any) -> AddedSecret:
    fields = {"organization_id": developer.organization_id, "role": developer.role, "name": "laptop 2", **fields}
    return create_secret(developer.api_keys, prefix="ag", now=clock.now(), fields=fields)


def _session(member: Developer) -> dict[str, str]:
    return {"Authorization": f"Bearer {open_session(actor=ANONYMOUS, user=member.user).token}"}


@pytest.fixture(scope="module")
def office(django_db_setup: None, django_db_blocker: Any) -> Iterator[Office]:
    with rows_of_module(django_db_blocker):
        yield make_office()


@pytest.fixture(autouse=True)
def _sequenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sequencer runs beside the tests, and an export waits for one."""
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())


@pytest.fixture
def _unrendered() -> Iterator[None]:
    """Who may open a page is decided before its template is rendered."""
    with unrendered():
        yield


def rows() -> dict[str, dict[str, str]]:
    with TABLE.open() as file:
        return {row["door"]: row for row in csv.DictReader(file)}


@pytest.mark.django_db
@pytest.mark.usefixtures("_unrendered")
def test_each_door_of_an_organization_has_a_row(office: Office) -> None:
    if PRINT:
        with Path(PRINT).open("w") as file:
            csv.writer(file).writerows(office.row(door).values() for door in doors())
    assert sorted(rows()) == sorted(doors())


@pytest.mark.usefixtures("_unrendered")
@cases("door", rows())
def test_each_caller_gets_what_the_table_says(door: str, office: Office, db: None) -> None:
    assert office.row(door) == rows()[door]


def test_roles_differ_only_where_the_table_of_roles_says_so() -> None:
    """A role that may do less than another is refused where it is, and gets the same everywhere else."""
    for door, row in rows().items():
        answers = [row[role] for role in Role]
        allowed = [answer for answer in answers if answer != REFUSED]
        assert len(set(allowed)) == 1, door
        assert answers == allowed + [REFUSED] * (len(answers) - len(allowed)), door
