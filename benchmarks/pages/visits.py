"""Every page and every GET of the APIs, with the rows of the data set.

The pages, the API's operations and the admin site's lists are found, so a new one is visited without being named. Their
searches, filters and further pages are in the table `FURTHER`. The writes are in `writes.py`.
"""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts.models import SessionToken, User
from agents.models import Agent
from approvals.models import Approval
from audit.events import Event, Outcome
from audit.models import Entry
from audit.readers.criteria import Criteria
from audit.readers.finding import entries_below
from audit.sequencing.log import newest
from benchmarks.pages.dataset import ADMINISTRATOR, COLLEAGUE, DEVELOPER, EMAIL
from benchmarks.pages.log import SPAN
from consent.models import Consent
from core import clock
from developers.models import ApiKey, Developer, Invitation
from events.models import Delivery
from policies.models import Policy
from resources.models import CustomScope, ResourceServer
from tokens.models import Delegation, TokenFamily
from web import urls as web_urls
from web.portal import urls as portal_urls
from web.public.entrance import urls as entrance_urls

HOST = "localhost:8000"
OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
# They take POST only, need what only a write makes, or read a whole history. `writes.py` visits the page of a pending
# consent.
NO_PAGES = {"end-session", "agent-reactivate", "account_reset_password_from_key", "account_confirm_signup", "consent"}
NO_PAGES |= {"agent-logo", "passkey-remove", "activity-csv", "activity-json"}
NO_PAGES |= {"domain-check", "domain-remove", "domain-review", "policy-restore", "organization-restore"}
NO_PAGES |= {"member-role", "invitation-resend", "invitation-revoke", "organization-resume"}
NO_PAGES |= {"webhook-test", "webhook-switch"}
NO_PAGES |= {"policy-status", "own-scope-edit", "logs-csv", "logs-json", "logs-evidence", "developer-elsewhere"}
FOR_ANONYMOUS = {"account_login", "account_signup", "account_reset_password"}
FOR_MEMBERS = {"organization-leave"}
# They answer for proxies or services only, or read a whole log once the sequencer has signed it.
NO_ANSWERS = ("/forward-auth", "/revocations", "/audit/export", "/audit-export", "/evidence")
FOR_USERS = ("/users/", "/consent/", "/approvals")
# The visitor, the path and its queries, which are separated by spaces, with the names of `Visitors.ids`.
FURTHER = (
    (
        "developer",
        "/developer/{organization}/agents",
        "q=sales+team&status=active q=nothing status=stopped cursor={agent}",
    ),
    ("developer", "/developer/{organization}/agents/{agent_id}/users", "state=ended user={user} cursor={consent}"),
    ("developer", "/developer/{organization}/delegations", "side=received status=active status=ended agent={agent_id}"),
    ("developer", "/developer/{organization}/policies", "q=email:send status=shadow agent={agent_id} cursor={policy}"),
    ("developer", "/developer/{organization}/resource-servers/{server_id}/scopes/{own_scope}/edit", ""),
    ("developer", "/developer/{organization}/resource-servers", "q=service1 q=nothing cursor={server}"),
    ("developer", "/developer/{organization}/analytics", "period=24h period=90d period=90d&agent={agent_id}"),
    (
        "developer",
        "/developer/{organization}/logs",
        "entry={entry_id} agent={agent_id} user={user} user=usr_0&outcome=info",
    ),
    (
        "developer",
        "/developer/{organization}/logs",
        "event=token.verify&outcome=allowed event=agent.updated agent=none since={end}",
    ),
    (
        "developer",
        "/developer/{organization}/logs",
        "event=policy.deleted&since={start} since={middle}&until={next} actor=service",
    ),
    (
        "developer",
        "/developer/{organization}/logs",
        "until={start}&outcome=denied consent={consent_id} server={server_id}",
    ),
    (
        "developer",
        "/developer/{organization}/logs",
        "action=email:read action=payments:none scope=email:read&since={end}",
    ),
    (
        "developer",
        "/developer/{organization}/logs",
        "reason=consent_revoked decider=user step=partly declined=email:read",
    ),
    ("developer", "/developer/{organization}/logs", "policy={policy_id} rule=rate_limit rule=cedar cursor={deep}"),
    ("developer", "/developer/{organization}/logs", "request=req_0 cursor={deep}&outcome=denied&event=token.verify"),
    ("ada", "/connections", "show=ended cursor={consent}"),
    ("ada", "/activity", "kind=actions kind=decisions&outcome=denied kind=account&since={middle}&until={next}"),
    ("ada", "/activity", "q=email q=nothing agent={agent_id}&outcome=denied event=agent.updated cursor={deep_hers}"),
    ("key", "/api/v1/audit", "userId={user}&event=token.verify&outcome=allowed cursor={coded}"),
    ("administrator", "/admin/audit/entry/", "q={organization}&outcome__exact=denied q={user}&days=7 cursor={deep}"),
    ("administrator", "/admin/search/", "q={organization} q={email} q={agent_id} q=req_0 q=nothing"),
    ("administrator", "/admin/agents/agent/{agent_id}/act/stop/", ""),
    ("administrator", "/admin/developers/organization/{organization}/act/suspend/", ""),
    ("administrator", "/admin/accounts/user/{user}/act/deactivate/", ""),
    ("administrator", "/admin/emergency-stop/", ""),
)


@dataclass(frozen=True)
class Visit:
    """A request. `prepare` makes what it needs, outside of the measurement, and `call` sends it."""

    kind: str
    name: str
    call: Callable[[Any], Any]
    prepare: Callable[[], Any] = lambda: None


class Visitors:
    """The clients, and the rows that they ask about: those of Acme's first agent, and of Ada."""

    def __init__(self, given: dict[str, str]) -> None:
        self.organization = given["organization"]
        self.ada = User.objects.get(email=EMAIL)
        self.clients = {
            "anonymous": Client(headers={"host": HOST}),
            "ada": _browser(EMAIL),
            "developer": _browser(DEVELOPER),
            "administrator": _browser(ADMINISTRATOR),
            "key": Client(headers={"host": HOST, "X-Api-Key": given["api_key"]}),
            "session": Client(headers={"host": HOST, "Authorization": f"Bearer {given['session']}"}),
        }
        self.agent = Agent.objects.filter(organization=self.organization).earliest("id")
        self.consent = Consent.objects.get(agent=self.agent, user=self.ada)
        self.delivery = Delivery.objects.filter(webhook__organization=self.organization).latest("id")
        self.ids = {**self._of_paths(), **self._of_filters(), **_moments()}

    def _of_paths(self) -> dict[str, str]:
        theirs = {"organization": self.organization}
        waiting = Approval.objects.filter(user=self.ada, status=Approval.Status.PENDING)
        return {
            "consent_id": self.consent.id,
            "agent_id": self.agent.id,
            "approval_id": waiting.earliest("id").id,
            "policy_id": Policy.objects.filter(**theirs).earliest("id").id,
            "key_id": ApiKey.objects.filter(**theirs).latest("id").id,
            "server_id": ResourceServer.objects.filter(**theirs).earliest("id").id,
            "secret_id": self.agent.secrets.latest("id").id,
            "session_id": SessionToken.objects.filter(user=self.ada).earliest("id").id,
            "user_id": "me",
            "organization_id": self.organization,
            "member_id": Developer.objects.get(user__email=COLLEAGUE).id,
            "invitation_id": Invitation.objects.get(email=EMAIL).id,
            "category": "email",
            "entry_id": self._find_entry().id,
            "scope_id": "email:send",
            "webhook_id": self.delivery.webhook_id,
            "delivery_id": self.delivery.pk,
            "event": "consent.revoked",
            "delegation_id": Delegation.objects.filter(from_agent__organization=self.organization).latest("id").id,
            "own_scope": CustomScope.objects.filter(**theirs).earliest("id").id,
            "name": "users",
            "number": "0005",
            "operation_id": "verifyToken",
            "tile": "0/000",
        }

    def _of_filters(self) -> dict[str, str]:
        """Return the values of filters, and of cursors: rows in the middle of each list."""
        theirs = {"organization": self.organization}
        lists: dict[str, Any] = {
            "agent": Agent.objects.filter(**theirs),
            "policy": Policy.objects.filter(**theirs),
            "server": ResourceServer.objects.filter(**theirs),
            "consent": Consent.objects.filter(user=self.ada),
        }
        middles = {
            name: rows.order_by("-pk").values_list("pk", flat=True)[len(rows) // 2] for name, rows in lists.items()
        }
        deep = _deep(Criteria(organization_id=self.organization))
        found = {"user": self.ada.id, "email": EMAIL, **theirs, **middles}
        found |= {"deep": deep, "deep_hers": _deep(Criteria(user_id=self.ada.id))}
        return found | {"coded": urlsafe_b64encode(deep.encode()).rstrip(b"=").decode()}

    def _find_entry(self) -> Entry:
        """Return an entry that Ada and Acme read, and that Ada can dispute."""
        of_both = Entry.objects.filter(organizations__contains=f"{self.organization} ", user_id=self.ada.id)
        found: Entry = of_both.filter(event=Event.TOKEN_VERIFY, outcome=Outcome.ALLOWED).earliest("leaf_index")
        return found

    def get(self, kind: str, name: str, who: str, path: str) -> Visit:
        return Visit(kind, name, lambda _: self.clients[who].get(path))


def visits(visitors: Visitors) -> Iterator[Visit]:
    """Yield the visit of each page, and of each GET of the APIs."""
    yield from _pages(visitors)
    yield from _api(visitors)
    yield from _oauth(visitors)
    yield from _lists_of_administrators(visitors)
    for who, path, queries in FURTHER:
        for query in queries.split() or [""]:
            url = f"{path}?{query}" if query else path
            kind = {"key": "API", "administrator": "admin"}.get(who, "page")
            yield visitors.get(kind, url.lstrip("/"), who, url.format(**visitors.ids))


def _pages(visitors: Visitors) -> Iterator[Visit]:
    of_portal = {"organization_id": visitors.organization}
    for namespace, patterns, more in (
        ("web:", web_urls.urlpatterns, {}),
        ("portal:", portal_urls.urlpatterns, of_portal),
        ("", entrance_urls.urlpatterns, {}),
    ):
        for pattern in patterns:
            if pattern.name in NO_PAGES:
                continue
            ids = {**more, **{name: visitors.ids[name] for name in pattern.pattern.converters}}
            path = reverse(f"{namespace}{pattern.name}", kwargs=ids)
            who = (
                "anonymous"
                if pattern.name in FOR_ANONYMOUS
                else "developer"
                if path.startswith("/developer") or pattern.name in FOR_MEMBERS
                else "ada"
            )
            yield visitors.get("page", f"{'developer/' if more else ''}{pattern.pattern}", who, path)


def _api(visitors: Visitors) -> Iterator[Visit]:
    """Yield each GET of the JSON API, alone and with each of its parameters. Lists are read in the largest pages."""
    values = {"agentId": visitors.agent.id, "userId": visitors.ada.id, "outcome": "denied", "event": "agent.created"}
    values |= {"wait": "0", "limit": "200", "after": "1", "types": "consent.*", "chain": visitors.agent.id}
    values |= {"direction": "given"}
    statuses = {"deliveries": "failed", "delegations": "active"}
    values |= dict.fromkeys(("from", "to"), f"{visitors.ids['middle']}T00:00:00Z")
    for path, methods in json.loads(OPENAPI.read_text())["paths"].items():
        if "get" not in methods or path.endswith(NO_ANSWERS):
            continue
        who = "session" if any(part in path for part in FOR_USERS) else "key"
        url, name = re.sub(r"\{(\w+)\}", lambda match: visitors.ids[match[1]], path), path.removeprefix("/api/v1/")
        yield visitors.get("API", name, who, url)
        values["status"] = statuses.get(path.rpartition("/")[2], "pending")
        parameters = {each["name"] for each in methods["get"].get("parameters", ()) if each["in"] == "query"}
        for parameter in sorted(parameters - {"cursor"}):
            yield visitors.get("API", f"{name}?{parameter}", who, f"{url}?{parameter}={values[parameter]}")


def _oauth(visitors: Visitors) -> Iterator[Visit]:
    for name in ("jwks", "metadata", "metadata-openid", "metadata-openid-below"):
        yield visitors.get("OAuth", name, "anonymous", reverse(f"oauth:{name}"))
    asked = (
        f"response_type=code&client_id={visitors.agent.client_id}&redirect_uri={visitors.agent.redirect_uri_list[0]}"
    )
    asked += f"&scope=email:read&code_challenge={'x' * 43}&code_challenge_method=S256"
    yield visitors.get("OAuth", "authorize", "anonymous", f"{reverse('oauth:authorize')}?{asked}")


def _lists_of_administrators(visitors: Visitors) -> Iterator[Visit]:
    """Yield the overview, and each model's list, its last page, one choice of each filter, its searches, and a row."""
    yield visitors.get("admin", "admin/", "administrator", "/admin/")
    for model, model_admin in admin.site._registry.items():
        yield from _list(visitors, model, model_admin)


def _list(visitors: Visitors, model: type[Model], model_admin: Any) -> Iterator[Visit]:
    path, name = f"/admin/{model._meta.app_label}/{model._meta.model_name}/", str(model._meta.model_name)
    answer: Any = visitors.clients["administrator"].get(path)
    changelist = answer.context_data["cl"]
    rows = model._default_manager.order_by("pk")
    queries = ["", *([*spec.choices(changelist)][-1]["query_string"] for spec in changelist.filter_specs)]
    if changelist.multi_page:
        queries.append(f"?p={changelist.paginator.num_pages}")
    queries += [f"?q={_sought(visitors, kind, rows.last())}" for kind in getattr(model_admin, "searches", ())]
    for query in queries:
        yield visitors.get("admin", f"{name}{query}", "administrator", path + query)
    if row := rows.first():
        yield visitors.get("admin", f"{name}/change", "administrator", f"{path}{row.pk}/change/")


def _sought(visitors: Visitors, kind: str, row: Any) -> str:
    """Return what is searched for: Acme's or Ada's, who have most, or else the row itself, if there is one."""
    itself = str(row.pk) if row else f"{kind}_{'0' * 32}"
    known = {
        "org": visitors.organization,
        "usr": visitors.ada.id,
        "agt": visitors.agent.id,
        "agc": visitors.agent.client_id,
        "cns": visitors.consent.id,
        "res": visitors.ids["server_id"],
        "fam": TokenFamily.objects.filter(consent=visitors.consent).earliest("id").id,
        "dev": User.objects.get(email=DEVELOPER).developers.get().id,
        "@": EMAIL,
        "://": "https://service7.example",
        "": getattr(row, "name", itself),
    }
    return str(known.get(kind, itself))


def _browser(email: str) -> Client:
    client = Client(headers={"host": HOST})
    client.force_login(User.objects.get(email=email))
    session = client.session
    session["signed_in_at"] = clock.now().timestamp()  # as accounts.recent
    session.save()
    return client


def _deep(criteria: Criteria) -> str:
    """Return the id of an entry at the beginning of the log."""
    return str(next(entries_below(max(1, newest().size // 10), criteria, 1)).id)


def _moments() -> dict[str, str]:
    """Return days at which a share of the log's time is over."""
    shares = {"start": 0.02, "middle": 0.5, "next": 0.52, "end": 0.99}
    return {name: f"{clock.now() - SPAN * (1 - share):%Y-%m-%d}" for name, share in shares.items()}
