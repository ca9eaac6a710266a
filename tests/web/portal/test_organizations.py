"""Which organization a page of the portal is about, who opens it, and what a role may do there."""

import ast
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agents.models import Agent
from audit.events import Event
from audit.proof import exports
from audit.sequencing.sequencer import sequence
from developers.models import Developer
from developers.roles import Right, Role
from tests.log import log_entries
from tests.shared import cases
from tests.web.markup import text_of
from tests.world import Browser, make_member, make_user, sign_in, sign_in_recently
from web.portal.urls import urlpatterns

ROOT = Path(__file__).resolve().parents[3]


def member_of(*developers: Developer) -> tuple[Any, Client]:
    """Return a user who is a member of these organizations, in this order, and their browser."""
    user, client = make_user("team@example.com"), Client()
    for one in developers:
        Developer.objects.create(user=user, organization=one.organization, role=Role.AUDITOR)
    client.force_login(user)
    return user, client


@pytest.mark.parametrize("path", ["", "agents", "agents/new?from=docs&to=2", "settings/domain", "logs?entry=log_0"])
def test_a_path_without_an_organization_leads_to_the_users_own(developer: Developer, path: str) -> None:
    client = Client()
    client.force_login(developer.user)
    answer = client.get(f"/developer/{path}")
    assert (answer.status_code, answer["Location"]) == (303, f"/developer/{developer.organization_id}/{path}")


def test_the_browser_remembers_the_organization_that_it_opened_last(developer: Developer, rival: Developer) -> None:
    user, client = member_of(developer, rival)
    homes = [f"/developer/{one.organization_id}/" for one in (developer, rival)]
    assert client.get("/developer/")["Location"] == homes[0]
    assert client.get(f"{homes[1]}agents").cookies["organization"]["httponly"]
    assert client.get("/developer/")["Location"] == homes[1]
    assert "organization" not in client.get(f"{homes[1]}agents").cookies, "it is set only when it changes"

    user.developers.filter(organization=rival.organization_id).update(ended_at=user.created_at)
    assert client.get("/developer/")["Location"] == homes[0]
    client.cookies["organization"] = "nonsense"
    assert client.get("/developer/")["Location"] == homes[0]


def test_a_path_of_no_page_is_not_found(as_developer: Browser) -> None:
    assert as_developer.get(f"{as_developer.home}/nowhere").status_code == 404
    assert as_developer.post(f"{as_developer.home}/nowhere").status_code == 404
    assert Client().get("/developer/org_0/nowhere").status_code == 404


def test_others_get_a_page_that_says_so_and_is_the_same_for_unknown_organizations(
    developer: Developer, as_rival: Browser, rival: Developer, agent: Agent
) -> None:
    path = f"/developer/{developer.organization_id}/agents/{agent.id}"
    theirs = as_rival.get(path)
    text = theirs.content.decode()
    assert theirs.status_code == 403
    assert "You are not a member of this organization" in text
    assert "rival@example.com" in text
    assert f'href="{as_rival.home}/"' in text
    assert "Acme" not in text
    assert "organization" not in theirs.cookies
    unknown = as_rival.get(path.replace(developer.organization_id, "org_0"))
    assert (unknown.status_code, main_of(unknown)) == (403, main_of(theirs))
    assert as_rival.post(f"{path}/suspend", {"reason": "x"}).status_code == 403
    developer.__class__.objects.filter(pk=rival.pk).update(ended_at=rival.created_at)
    assert as_rival.get(f"{as_rival.home}/").status_code == 403


def test_a_user_without_an_organization_can_found_one_from_there(as_ada: Browser, developer: Developer) -> None:
    text = as_ada.get(f"/developer/{developer.organization_id}/").content.decode()
    assert "You are not a member of any organization." in text
    assert "Become a developer" in text


def test_each_page_says_which_right_it_requires() -> None:
    rights = {page.name: getattr(page.callback, "rights", None) for page in urlpatterns}
    assert [name for name, found in rights.items() if found is None] == []
    changed = {name for name, found in rights.items() if found.post is not Right.READ}
    assert {"agent-new", "agent-credentials", "domain", "organization"} <= changed


@cases(
    ("name", "args", "method", "role", "needed"),
    [
        ("agent-edit", ["agent"], "get", Role.AUDITOR, "Owner, Admin or Developer"),
        ("agent-credentials", ["agent"], "post", Role.AUDITOR, "Owner, Admin or Developer"),
        ("policy-new", [], "get", Role.AUDITOR, "Owner, Admin or Developer"),
        ("organization", [], "post", Role.DEVELOPER, "Owner or Admin"),
        ("domain-remove", [], "get", Role.DEVELOPER, "Owner or Admin"),
    ],
)
def test_a_page_that_the_role_does_not_permit_names_those_that_do_and_is_logged(
    developer: Developer, agent: Agent, name: str, args: list[str], method: str, role: Role, needed: str
) -> None:
    client = sign_in_recently(make_member(developer, "member@example.com", role).user)
    path = reverse(f"portal:{name}", args=[developer.organization_id, *([agent.id] if args else [])])
    answer = getattr(client, method)(path)
    assert answer.status_code == 403
    assert f"Your role is {role.label}. Ask an {needed}." in answer.content.decode()
    (entry,) = log_entries(event=Event.MEMBER_REFUSED)
    assert entry.content["metadata"]["act"] == f"portal:{name}"


READ = ["", "agents", "agents/{agent}", "agents/{agent}/credentials", "policies", "policies/{policy}", "settings"]
READ += ["policies/{policy}/history", "resource-servers", "resource-servers/{server}", "settings/domain", "logs"]


def main_of(answer: Any) -> str:
    return str(answer.content.decode().partition("<main")[2].partition("</main>")[0])


def acts_on(client: Browser, path: str) -> set[str]:
    """Return where the forms and buttons of the page lead, except those that only read."""
    page = main_of(client.get(f"{client.home}/{path}"))
    forms = [
        re.findall(r'action="([^"]*)"', form) or ["itself"]
        for form in re.findall(r'<form [^>]*method="post".*?>', page)
    ]
    links = re.findall(r'<a class="button[^"]*" href="([^"]*)"', page)
    return {one.removeprefix(client.home) for one in [*chain(*forms), *links]}


def test_an_auditor_reads_each_page_without_what_changes_something(
    developer: Developer, agent: Agent, as_developer: Browser, policy: Any, server: Any
) -> None:
    auditor = sign_in(make_member(developer, "audit@example.com", Role.AUDITOR).user)
    ids = {"agent": agent.id, "policy": policy.id, "server": server.id}
    reading = re.compile(r"^/$|^/logs|^/agents/\w+/quickstart$|^/agents$|^\?|^/developer|^/api/")
    for path in [one.format(**ids) for one in READ]:
        assert [one for one in acts_on(auditor, path) if not reading.search(one)] == [], path
        assert "You can only read here: your role is Auditor." in text_of(auditor, f"{auditor.home}/{path}")
        assert "your role is" not in text_of(as_developer, f"{as_developer.home}/{path}")
    assert f"/agents/{agent.id}/suspend" in acts_on(as_developer, f"agents/{agent.id}")


def test_no_page_and_no_endpoint_decides_by_the_name_of_a_role() -> None:
    """Only `developers.roles` does. A template asks it with the filter `may`."""
    name = re.compile(rf"\bRole\.[A-Z]|['\"]({'|'.join(Role)})['\"]")
    found = []
    for file in (ROOT / "templates").rglob("*.html"):
        tags = re.findall(r"{% (?:el)?if [^%]*%}", file.read_text())
        found += [f"{file}: {tag}" for tag in tags if "role" in tag and name.search(tag)]
    for file in chain((ROOT / "web").rglob("*.py"), (ROOT / "api").rglob("*.py")):
        compared = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Compare)]
        found += [
            f"{file}:{node.lineno}" for node in compared if name.search(text := ast.unparse(node)) and "ole" in text
        ]
    assert found == []


def test_the_header_names_the_organization_and_lists_the_users_own_with_their_roles(
    developer: Developer, rival: Developer
) -> None:
    user, client = member_of(developer, rival)
    Developer.objects.filter(user=user, organization=rival.organization_id).update(role=Role.OWNER)
    page = client.get(f"/developer/{rival.organization_id}/agents").content.decode()
    box = page.partition('id="organizations"')[2].partition("</div>")[0]
    found = re.findall(r'href="/developer/(\w+)/"( aria-current="true")?.*?<span class="small">(\w+)</span>', box)
    assert found == [
        (developer.organization_id, "", "Auditor"),
        (rival.organization_id, ' aria-current="true"', "Owner"),
    ]
    assert 'href="/developer/new"' in page
    assert 'Signed in as <bdi translate="no">team@example.com</bdi>' in box
    refused = client.get(f"/developer/{developer.organization_id}/agents/new").content.decode()
    assert 'id="organizations"' in refused, "a click away from where the role permits more"


def test_a_user_creates_an_organization_and_is_its_owner(as_developer: Browser, developer: Developer) -> None:
    assert as_developer.get("/developer/new").status_code == 200
    assert as_developer.post("/developer/new", {"name": "✓ Acme"}).status_code == 422
    answer = as_developer.post("/developer/new", {"name": "Acme Labs"})
    new = developer.user.developers.get(organization__name="Acme Labs")
    assert new.role == Role.OWNER
    assert (answer.status_code, answer["Location"]) == (303, f"/developer/{new.organization_id}/")


def test_a_member_of_several_organizations_downloads_the_evidence_of_the_one_that_the_page_is_about(
    developer: Developer, rival: Developer, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "pause", lambda seconds: sequence())
    user, _ = member_of(rival, developer)
    client, home = sign_in_recently(user), f"/developer/{developer.organization_id}"
    entry = next(iter(log_entries(event=Event.AGENT_CREATED)))
    download = client.get(f"{home}/logs/evidence")
    assert entry.id in download.getvalue().decode()
    assert client.get(f"{home}/logs/{entry.id}/proof").status_code == 200
    assert entry.id not in client.get(f"/developer/{rival.organization_id}/logs/evidence").getvalue().decode()
