"""Every page and every GET of the APIs, with the rows of the grown database. New ones are visited without being named.

The writes are in `writes.py`.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts.models import SessionToken, User
from agents.models import Agent
from audit.events import Event, Outcome
from audit.models import Entry
from consent.models import Approval, Consent
from core.admin_lists import EMAIL, TEXT, URL
from developers.models import ApiKey
from policies.models import Policy
from resources.models import ResourceServer
from tokens.models import TokenFamily
from web import urls as web_urls
from web.public.entrance import urls as entrance_urls

HOST = "localhost:8000"
OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
# They take POST only, need what only a write makes, or read a whole history. `writes.py` visits the page of a pending
# consent.
NO_PAGES = {"end-session", "agent-reactivate", "account_reset_password_from_key", "account_confirm_signup", "consent"}
NO_PAGES |= {"secret-rotate", "secret-revoke", "agent-logo"}
NO_PAGES |= {"agent-trial", "passkey-remove", "activity-csv", "activity-json"}
NO_PAGES |= {"own-scope-edit", "domain-check", "domain-remove", "domain-review"}
NO_PAGES |= {"backtest", "policy-restore", "policy-status"}
NO_PAGES |= {"log-entry", "logs-csv", "logs-json", "log-view-rename", "log-view-delete"}
# They answer for proxies only, or read a whole log once the sequencer has signed it.
NO_ANSWERS = ("/forward-auth", "/audit/export", "/audit-export", "/evidence")
FOR_USERS = ("/users/", "/consent/", "/approvals")
FOR_ANONYMOUS = {"account_login", "account_signup", "account_reset_password"}
MOMENT = "2030-01-01T00:00:00Z"


@dataclass(frozen=True)
class Visit:
    """A request. `call` sends it, after `prepare`, and both take the number of the repetition.

    `exempt` says why its time has no goal.
    """

    kind: str
    name: str
    call: Callable[[int], Any]
    prepare: Callable[[int], object] = lambda number: None
    exempt: str = ""


class Visitors:
    """The clients, and the rows that they ask about: those of Acme, and of Ada, who has the most connections."""

    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.ada = User.objects.get(email="ada@example.com")
        self.developer = User.objects.get(email="dev@acme.example")
        self.anonymous = Client(headers={"host": HOST})
        self.as_ada = self._browser(self.ada)
        self.as_developer = self._browser(self.developer)
        self.as_administrator = self._browser(User.objects.get(email="root@example.com"))
        self.with_key = Client(headers={"host": HOST, "X-Api-Key": given["api_key"]})
        self.with_session = Client(headers={"host": HOST, "Authorization": f"Bearer {given['session']}"})
        organization = given["organization"]
        # The first consent, whose newest entries are denials.
        self.consent = Consent.objects.filter(user=self.ada).earliest("id")
        self.ids: dict[str, str] = {
            "consent_id": self.consent.id,
            "agent_id": self.consent.agent_id,
            "approval_id": Approval.objects.filter(user=self.ada, status=Approval.Status.PENDING).earliest("id").id,
            "policy_id": Policy.objects.filter(organization=organization).earliest("id").id,
            "key_id": ApiKey.objects.filter(organization=organization).latest("id").id,
            "server_id": ResourceServer.objects.filter(organization=organization).earliest("id").id,
            "session_id": SessionToken.objects.filter(user=self.ada).earliest("id").id,
            "user_id": "me",
            "category": "email",
            "entry_id": self._find_entry(organization).id,
            "scope_id": "email:send",
            "name": "users",
            "number": "0005",
            "operation_id": "verifyToken",
            "tile": "0/000",
        }

    def _find_entry(self, organization: str) -> Entry:
        """Return an entry that Ada and Acme read, and that Ada can dispute."""
        of_both = Entry.objects.filter(organizations__contains=f"{organization} ", user_id=self.ada.id)
        found: Entry = of_both.filter(event=Event.TOKEN_VERIFY, outcome=Outcome.ALLOWED).earliest("leaf_index")
        return found

    def _browser(self, user: User) -> Client:
        client = Client(headers={"host": HOST})
        client.force_login(user)
        return client


def pages(visitors: Visitors) -> Iterator[Visit]:
    """Yield the pages of `web`, and two pages of each list that has more than one."""
    for pattern in (*web_urls.urlpatterns, *entrance_urls.urlpatterns):
        if pattern.name in NO_PAGES:
            continue
        namespace = "web:" if pattern in web_urls.urlpatterns else ""
        ids = {name: visitors.ids[name] for name in pattern.pattern.converters}
        path = reverse(f"{namespace}{pattern.name}", kwargs=ids)
        client = visitors.as_developer if path.startswith("/developer") else visitors.as_ada
        client = visitors.anonymous if pattern.name in FOR_ANONYMOUS else client
        yield get("page", str(pattern.pattern), client, path)
    yield from _further_pages(visitors)


def _further_pages(visitors: Visitors) -> Iterator[Visit]:
    organization = visitors.given["organization"]
    lists: tuple[tuple[Client, str, Any], ...] = (
        (visitors.as_developer, "/developer/agents", Agent.objects.filter(organization=organization)),
        (visitors.as_developer, "/developer/policies", Policy.objects.filter(organization=organization)),
        (
            visitors.as_developer,
            "/developer/resource-servers",
            ResourceServer.objects.filter(organization=organization),
        ),
        (visitors.as_ada, "/connections", Consent.objects.filter(user=visitors.ada)),
    )
    for client, path, rows in lists:
        cursor = rows.order_by("-pk").values_list("pk", flat=True)[rows.count() // 2]
        yield get("page", f"{path[1:]}?cursor", client, path, {"cursor": cursor})
    yield get("page", "connections?show=ended", visitors.as_ada, "/connections", {"show": "ended"})


def api(visitors: Visitors) -> Iterator[Visit]:
    """Yield each GET of the JSON API. Lists are read in the largest pages too."""
    for path, methods in json.loads(OPENAPI.read_text())["paths"].items():
        if "get" not in methods or path.endswith(NO_ANSWERS):
            continue
        client = visitors.with_session if any(part in path for part in FOR_USERS) else visitors.with_key
        asked = re.sub(r"\{(\w+)\}", lambda match: visitors.ids[match[1]], path)
        name = path.removeprefix("/api/v1/")
        yield get("API", name, client, asked)
        parameters = {each["name"] for each in methods["get"].get("parameters", ()) if each["in"] == "query"}
        if "limit" in parameters:
            yield get("API", f"{name}?limit=200", client, asked, {"limit": "200"})
        values = {"agentId": visitors.ids["agent_id"], "userId": visitors.ada.id, "outcome": "denied"}
        values |= {"event": "agent.created", "from": MOMENT, "to": MOMENT, "status": "pending", "wait": "0"}
        for parameter in sorted(parameters - {"limit", "cursor"}):
            query = {parameter: values[parameter]}
            yield get("API", f"{name}?{parameter}", client, asked, query)


def oauth(visitors: Visitors) -> Iterator[Visit]:
    client = visitors.anonymous
    for name in ("jwks", "metadata", "metadata-openid", "metadata-openid-below"):
        yield get("OAuth", name, client, reverse(f"oauth:{name}"))
    agent = Agent.objects.get(id=visitors.ids["agent_id"])
    query = {"response_type": "code", "client_id": agent.client_id, "redirect_uri": agent.redirect_uri_list[0]}
    query |= {"scope": "email:read", "code_challenge": "x" * 43, "code_challenge_method": "S256"}
    yield get("OAuth", "authorize", client, reverse("oauth:authorize"), query)


def administration(visitors: Visitors) -> Iterator[Visit]:
    """Yield the overview, denials, a search, and of each model the list, its last page, searches, filters and rows."""
    yield get("admin", "index", visitors.as_administrator, "/admin/")
    yield get("admin", "denials", visitors.as_administrator, "/admin/denials/")
    yield get("admin", "search", visitors.as_administrator, "/admin/search/", {"q": visitors.ada.email})
    for model, model_admin in admin.site._registry.items():
        yield from _lists(visitors, model, model_admin)


def _lists(visitors: Visitors, model: type[Model], model_admin: Any) -> Iterator[Visit]:
    client, name = visitors.as_administrator, str(model._meta.model_name)
    path = f"/admin/{model._meta.app_label}/{name}/"
    answer: Any = client.get(path)
    changelist = answer.context_data["cl"]
    yield get("admin", name, client, path)
    if changelist.multi_page:
        yield get("admin", f"{name}?p=last", client, path, {"p": str(changelist.paginator.num_pages)})
    rows = model._default_manager.order_by("pk")
    for row in filter(None, (rows.first(), rows.last())):
        yield get("admin", f"{name}/change", client, f"{path}{row.pk}/change/")
    for kind in getattr(model_admin, "searches", ()):
        sought = _sought(visitors, kind, rows.last())
        yield get("admin", f"{name}?q={kind or 'text'}", client, path, {"q": sought})
    choices = [choice for spec in changelist.filter_specs for choice in spec.choices(changelist)]
    for query in [choice["query_string"] for choice in choices if choice["query_string"] != "?"]:
        yield get("admin", f"{name}{query}", client, path + query)


def _sought(visitors: Visitors, kind: str, row: Any) -> str:
    """Return what is searched for: Acme's or Ada's, who have most, or else the row itself, if there is one."""
    itself = str(row.pk) if row else f"{kind}_{'0' * 32}"
    known = {
        "org": visitors.given["organization"],
        "usr": visitors.ada.id,
        EMAIL: visitors.ada.email,
        "agt": visitors.ids["agent_id"],
        "agc": Agent.objects.get(id=visitors.ids["agent_id"]).client_id,
        "cns": visitors.consent.id,
        "res": visitors.ids["server_id"],
        "fam": TokenFamily.objects.filter(consent=visitors.consent).earliest("id").id,
        "dev": visitors.developer.developer.id,
        URL: "https://service7.example",
        TEXT: getattr(row, "name", itself),
    }
    return str(known.get(kind, itself))


def get(kind: str, name: str, client: Client, path: str, query: dict[str, str] | None = None) -> Visit:
    url = f"{path}?{urlencode(query)}" if query else path
    return Visit(kind, name, lambda number: client.get(url))
