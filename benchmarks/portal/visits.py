"""The pages of the developer's portal, with their filters, searches and further pages."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.test import Client
from django.urls import reverse

from accounts.models import User
from agents.models import Agent
from audit.events import Event
from audit.readers.news import current_ends
from benchmarks.grown import visits as grown
from benchmarks.grown.visits import Visit, Visitors, get
from consent.models import Consent
from core import clock
from policies.models import Policy
from resources.models import CustomScope, ResourceServer
from web import urls as web_urls
from web.portal.analytics.breakdown import WAYS
from web.portal.analytics.periods import PERIODS
from web.portal.services.snippets import KINDS as SNIPPETS

# The pages that `benchmarks.grown.visits` leaves out, because its data has none of their rows.
MORE = ("agent-trial", "secret-rotate", "secret-revoke", "own-scope-edit")
# So many entries are new to a tab that polls.
MISSED = 5


class PortalVisitors(Visitors):
    """The visitors of the organization with much data. `agent_id` is the agent that has the most users."""

    def __init__(self, given: dict[str, str]) -> None:
        super().__init__(given)
        self.organization = given["organization"]
        agents = Agent.objects.filter(organization=self.organization)
        self.ids["agent_id"] = agents.earliest("id").id
        self.consent = Consent.objects.filter(agent=self.ids["agent_id"], user=self.ada).earliest("id")
        self.ids["consent_id"] = self.consent.id
        self.ids["scope_id"] = CustomScope.objects.filter(organization=self.organization).earliest("id").id
        self.ids["backtest_id"] = given["backtest"]
        self.ids["trial_id"] = given["trial"]
        self.ids["secret_id"] = agents.earliest("id").secrets.latest("id").id

    def administrator(self, email: str) -> Client:
        """Return the browser of an administrator who has just signed in."""
        client = self._browser(User.objects.get(email=email))
        session = client.session
        session["signed_in_at"] = clock.now().timestamp()  # as accounts.recent
        session.save()
        return client


def portal(visitors: PortalVisitors) -> Iterator[Visit]:
    """Yield the visits of the portal, the log's excepted."""
    yield from (each for each in grown.pages(visitors) if each.name.startswith("developer") and "?" not in each.name)
    for name in MORE:
        path = reverse(f"web:{name}", kwargs={one: visitors.ids[one] for one in _parameters(name)})
        yield _page(visitors, path, {}, name)
    for pages in (_agents, _users, _policies, _tests_of_policies, _servers, _analytics):
        yield from pages(visitors)


def log_of_portal(visitors: PortalVisitors) -> Iterator[Visit]:
    """Yield the visits of the log that its filters in `benchmarks.grown.log_visits` leave out."""
    server, shadow = visitors.ids["server_id"], _shadow(visitors)
    filters = [
        {"server": server},
        {"server": server, "outcome": "denied"},
        {"policy": visitors.ids["policy_id"]},
        {"policy": shadow.id},
        {"rule": "rate_limit"},
        {"rule": "cedar", "outcome": "denied"},
        {"action": "acme:scope3"},
        {"event": Event.POLICY_SHADOWED.value},
        {"event": Event.CONSENT_APPROVED.value, "agent": visitors.ids["agent_id"]},
        {"event": Event.SANDBOX_VERIFY.value},
        {"consent": visitors.consent.id, "outcome": "denied"},
    ]
    for query in filters:
        yield _page(visitors, "/developer/logs", query)
        yield _page(visitors, "/developer/logs", {**query, "live": "1"})
    ends = _ends_before()
    for query in ({}, {"rule": "rate_limit"}, {"policy": shadow.id}, {"agent": visitors.ids["agent_id"]}):
        yield _page(visitors, "/developer/logs/new", {**query, "ends": ends})


def _agents(visitors: PortalVisitors) -> Iterator[Visit]:
    path = "/developer/agents"
    rows = Agent.objects.filter(organization=visitors.organization)
    queries = [{"q": "Assistant"}, {"q": "sales team", "status": "active"}, {"q": "nothing"}, {"status": "suspended"}]
    queries += [{"status": "stopped"}, {"q": visitors.ids["agent_id"]}, {"status": "active", "cursor": _middle(rows)}]
    yield from _pages(visitors, path, [*queries, *_further(rows)])


def _users(visitors: PortalVisitors) -> Iterator[Visit]:
    agent = visitors.ids["agent_id"]
    rows = Consent.objects.filter(agent=agent)
    queries = [{"state": "live"}, {"state": "ended"}, {"user": visitors.ada.id}, {"user": "usr_none"}]
    queries += [{"state": "ended", "cursor": _middle(rows)}]
    yield from _pages(visitors, f"/developer/agents/{agent}/users", [*queries, *_further(rows)])


def _policies(visitors: PortalVisitors) -> Iterator[Visit]:
    rows = Policy.objects.filter(organization=visitors.organization)
    queries: list[dict[str, str]] = [{"q": "policy"}, {"q": "email:send"}, {"q": "nothing"}, {"status": "shadow"}]
    queries += [{"status": "enforced"}, {"agent": visitors.ids["agent_id"]}, {"q": "cedar", "status": "off"}]
    yield from _pages(visitors, "/developer/policies", [*queries, *_further(rows)])
    for kind, policy in _of_each_type(rows).items():
        for page in ("", "/edit", "/code", "/simulate"):
            yield _page(visitors, f"/developer/policies/{policy.id}{page}", {}, f"{kind}{page}")
    yield _page(visitors, f"/developer/policies/{_shadow(visitors).id}", {}, "findings of a shadow")
    long = rows.order_by("-version")[0]
    for before in ("100", "50", "10"):
        yield _page(visitors, f"/developer/policies/{long.id}/history", {"before": before}, f"history?before={before}")


def _tests_of_policies(visitors: PortalVisitors) -> Iterator[Visit]:
    found = visitors.ids["backtest_id"]
    path = f"/developer/policies/backtests/{found}"
    denied = {"show": "denied"}
    for query in ({}, denied, {**denied, "after": "50"}, {"show": "asked"}):
        yield _page(visitors, path, query, f"backtest?{urlencode(query)}")
    yield _page(visitors, "/developer/policies/new", {"draft": found}, "policies/new?draft")
    asked = {"agent": visitors.ids["agent_id"], "action": "email:send", "scopes": "email:send", "ip": "203.0.113.9"}
    policy = visitors.ids["policy_id"]
    yield _page(visitors, "/developer/policies/simulator", asked, "simulator: all policies")
    yield _page(visitors, f"/developer/policies/{policy}/simulate", asked, "simulator: one policy")


def _servers(visitors: PortalVisitors) -> Iterator[Visit]:
    rows = ResourceServer.objects.filter(organization=visitors.organization)
    yield from _pages(visitors, "/developer/resource-servers", [{"q": "service1"}, {"q": "nothing"}, *_further(rows)])
    server = visitors.ids["server_id"]
    for kind in SNIPPETS:
        yield _page(visitors, f"/developer/resource-servers/{server}", {"code": kind}, f"resource server?code={kind}")


def _analytics(visitors: PortalVisitors) -> Iterator[Visit]:
    for period in PERIODS:
        for by in WAYS:
            for agent in ("", visitors.ids["agent_id"]):
                query = {"period": period.name, "by": by.name, **({"agent": agent} if agent else {})}
                name = f"analytics?{period.name} by {by.name}{', one agent' if agent else ''}"
                yield _page(visitors, "/developer/analytics", query, name)
        query = {"period": period.name, "by": "agent", "show": "all"}
        yield _page(visitors, "/developer/analytics", query, f"analytics?{period.name}, all agents listed")


def _parameters(name: str) -> Iterable[str]:
    """Return the names of the ids in the path of a page."""
    return next(pattern.pattern.converters for pattern in web_urls.urlpatterns if pattern.name == name)


def _shadow(visitors: PortalVisitors) -> Policy:
    """Return a policy for all agents that only records, which has found the most."""
    rows = Policy.objects.filter(organization=visitors.organization, mode=Policy.Mode.SHADOW, enabled=True)
    return rows.filter(agent=None).earliest("id")


def _of_each_type(rows: QuerySet[Policy]) -> Mapping[str, Policy]:
    found: dict[str, Policy] = {}
    for policy in rows.filter(enabled=True, mode=Policy.Mode.ENFORCE).order_by("id"):
        found.setdefault(policy.rules[0]["type"], policy)
    return found


def _further(rows: QuerySet[Any]) -> list[dict[str, str]]:
    """Return the queries of a page in the middle of a list, and of the last one."""
    return [{"cursor": _middle(rows)}, {"cursor": str(rows.order_by("pk").values_list("pk", flat=True)[10])}]


def _middle[Row: Model](rows: QuerySet[Row]) -> str:
    return str(rows.order_by("-pk").values_list("pk", flat=True)[rows.count() // 2])


def _ends_before() -> str:
    """Return the ends of the log that a tab knows which has missed the newest entries."""
    ends = current_ends()
    return str(replace(ends, size=ends.size - MISSED))


def _pages(visitors: PortalVisitors, path: str, queries: list[dict[str, str]]) -> Iterator[Visit]:
    for query in queries:
        yield _page(visitors, path, query)


def _page(visitors: PortalVisitors, path: str, query: Mapping[str, str], name: str = "") -> Visit:
    return get("page", name or f"{path[1:]}?{urlencode(query)}", visitors.as_developer, path, dict(query))
