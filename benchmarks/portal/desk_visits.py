"""The pages of the administrator's desk: what joins everything, searches, lists, and the preview of each stop."""

from collections.abc import Iterator

from django.test import Client

from accounts.models import User
from audit.readers.criteria import Criteria
from audit.readers.finding import entries_below
from audit.sequencing.log import newest
from benchmarks.grown.visits import Visit, get
from benchmarks.portal.dataset import ROLES
from benchmarks.portal.visits import PortalVisitors

ROOT = "root@example.com"
STOPS = {
    "agents/agent": ("agent_id", ("stop",)),
    "developers/organization": ("organization", ("suspend", "verify")),
    "accounts/user": ("user", ("deactivate",)),
    "consent/consent": ("consent_id", ("revoke",)),
    "policies/policy": ("policy_id", ("disable",)),
}


def desk(visitors: PortalVisitors) -> Iterator[Visit]:
    """Yield the visits of a superuser, lists excepted, and then what those with another role see differently."""
    root = visitors.administrator(ROOT)
    visitors.as_administrator = root
    yield from _joined(visitors, root, "superuser")
    yield from _searches(visitors, root)
    yield from _stops(visitors, root)
    for email, role in ROLES.items():
        client = visitors.administrator(email)
        yield get("admin", f"index as {role}", client, "/admin/")
        if role != "Operations":
            yield from _joined(visitors, client, role)


def _joined(visitors: PortalVisitors, client: Client, role: str) -> Iterator[Visit]:
    entry = next(entries_below(newest().size, Criteria(organization_id=visitors.organization), 1))
    rows = {model: _id(visitors, name) for model, (name, _) in STOPS.items()} | {"audit/entry": entry.id}
    for model, pk in rows.items():
        yield get("admin", f"{model} as {role}", client, f"/admin/{model}/{pk}/change/")
    for text in (visitors.organization, visitors.ada.email):
        yield get("admin", f"search {text.partition('_')[0]} as {role}", client, "/admin/search/", {"q": text})


def _searches(visitors: PortalVisitors, client: Client) -> Iterator[Visit]:
    texts = {name: value for name, value in visitors.ids.items() if name.endswith("_id")}
    texts |= {"name": "Assistant 7 of the sales team", "nothing": "Nothing", "user": visitors.ada.id}
    texts |= {"request": f"req_{'0' * 32}", "address": "user77@example.com"}
    for name, text in texts.items():
        yield get("admin", f"search: {name}", client, "/admin/search/", {"q": text})


def _stops(visitors: PortalVisitors, client: Client) -> Iterator[Visit]:
    for model, (name, actions) in STOPS.items():
        for action in actions:
            path = f"/admin/{model}/{_id(visitors, name)}/act/{action}/"
            yield get("admin", f"preview: {action} {model}", client, path)
    for model in ("agents/agent", "developers/organization"):
        name, _ = STOPS[model]
        yield get("admin", f"proof {model}", client, f"/admin/{model}/{_id(visitors, name)}/proof/")
    yield get("admin", "emergency stop", client, "/admin/emergency-stop/")


def _id(visitors: PortalVisitors, name: str) -> str:
    if name == "user":
        return str(User.objects.get(email="user7@example.com").id)
    return visitors.organization if name == "organization" else visitors.ids[name]
