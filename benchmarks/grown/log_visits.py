"""Visits of the log: all filters of each of its lists, alone and combined, rare and frequent, and pages deep in it."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from audit.entries.facets import NO_AGENT
from audit.readers.criteria import Criteria
from audit.readers.finding import entries_below
from audit.readers.news import current_ends
from audit.sequencing.log import newest
from benchmarks.grown.log import SERVICE, SPAN
from benchmarks.grown.visits import Visit, Visitors, get
from core import clock
from web.user.activity.kinds import KINDS

# What the filters are called by the API, on the pages and in the admin site. The last has no dates, but ages.
API = {"event": "event", "outcome": "outcome", "agent": "agentId", "user": "userId", "since": "from", "until": "to"}
PAGES = {name: name for name in API}
LOGS = {**PAGES, "since": "from", "until": "to"}
ADMIN = {"event": "event__exact", "outcome": "outcome__exact", "days": "days", "q": "q"}


def log_pages(visitors: Visitors) -> Iterator[Visit]:
    organization, ada = visitors.given["organization"], visitors.ada.id
    theirs, hers = Criteria(organization_id=organization), Criteria(user_id=ada)
    filters = list(_filters(visitors))
    without_user = [one for one in filters if "user" not in one]
    yield from _lists("page", visitors.as_developer, "/developer/logs", LOGS, filters, _cursors(theirs))
    yield from _facets(visitors, newest_of(theirs), newest_of(replace(theirs, outcome="denied")))
    yield from _lists("page", visitors.as_ada, "/activity", PAGES, without_user, _cursors(hers))
    yield from _ledger(visitors)
    coded = {name: _encode(cursor) for name, cursor in _cursors(theirs).items()}
    yield from _lists("API", visitors.with_key, "/api/v1/audit", API, filters, coded)
    coded = {name: _encode(cursor) for name, cursor in _cursors(hers).items()}
    yield from _lists("API", visitors.with_session, "/api/v1/users/me/audit-logs", API, without_user, coded)
    searched = [{"q": one} for one in (organization, ada, visitors.ids["agent_id"], visitors.consent.id)]
    chosen: list[dict[str, str]] = [{"outcome": "denied"}, {"event": "agent.updated"}, {"days": "30"}]
    both = [{**one, **other} for one in searched for other in [*chosen, {"outcome": "info", "days": "7"}]]
    entries = [*searched, *chosen, *both, {"event": "agent.updated", "outcome": "info", "days": "30"}]
    yield from _lists("admin", visitors.as_administrator, "/admin/audit/entry/", ADMIN, entries, _cursors(Criteria()))


def _ledger(visitors: Visitors) -> Iterator[Visit]:
    """Yield the kinds of a user's history, alone and in a window, and searches that find much, little and nothing."""
    window = {"since": _day(0.5), "until": _day(0.52)}
    found = [{"kind": kind, **more} for kind in KINDS for more in ({}, {"outcome": "denied"}, window)]
    found += [{"q": text, **more} for text in ("email", "nothing") for more in ({}, window)]
    for query in found:
        yield get("page", f"activity?{urlencode(query)}", visitors.as_ada, "/activity", query)


def _facets(visitors: Visitors, entry: Any, denied: Any) -> Iterator[Visit]:
    """Yield the filters that only the developer's log has, frequent, rare and without a match, and its other pages."""
    window = {"from": _day(0.5), "to": _day(0.52)}
    alone = [
        {"actor": "service"},
        {"actor": "administrator"},
        {"server": SERVICE.id or ""},
        {"action": "email:read"},
        {"action": "payments:none"},
        {"scope": "email:read"},
        {"reason": "consent_revoked"},
        {"decider": "user"},
        {"step": "partly"},
        {"left_out": "email:send"},
        {"agent": NO_AGENT},
        {"policy": f"pol_{'0' * 32}"},
        {"request": entry.content["requestId"]},
        {"request": f"req_{'0' * 32}"},
        {"request": "chosen-by-the-caller"},
        {"consent": visitors.consent.id},
    ]
    found = [{**one, **more} for one in alone for more in ({}, {"outcome": "denied"}, window)]
    found += [{"entry": entry.id}, {"live": "1"}, {"outcome": "denied", "entry": denied.id}]
    for query in found:
        yield get("page", f"developer/logs?{urlencode(query)}", visitors.as_developer, "/developer/logs", query)
    yield get("page", "developer/logs/new", visitors.as_developer, "/developer/logs/new", {"ends": str(current_ends())})
    yield get("page", "developer/logs/new: all", visitors.as_developer, "/developer/logs/new", {})
    yield get("page", "developer/logs/{entry}", visitors.as_developer, f"/developer/logs/{entry.id}")


def newest_of(criteria: Criteria) -> Any:
    return next(entries_below(newest().size, criteria, 1))


def _filters(visitors: Visitors) -> Iterator[dict[str, str]]:
    """Yield filters, as the pages have them."""
    agent, user = visitors.ids["agent_id"], visitors.ada.id
    day = {name: _day(share) for name, share in (("start", 0.02), ("middle", 0.5), ("next", 0.52), ("end", 0.99))}
    alone = [("agent", agent), ("user", user), ("user", "usr_" + "0" * 32), ("event", "token.verify")]
    alone += [("event", "token.issued"), ("event", "agent.updated"), ("event", "policy.deleted")]
    alone += [("outcome", "allowed"), ("outcome", "denied"), ("outcome", "info")]
    alone += [("since", day["middle"]), ("since", day["end"]), ("until", day["middle"]), ("until", day["start"])]
    yield from ({name: value} for name, value in alone)
    window = {"since": day["middle"], "until": day["next"]}
    rare = {"event": "agent.updated", "outcome": "info"}
    yield from (window, rare, {**rare, **window}, {**rare, "agent": agent}, {"agent": agent, "outcome": "denied"})
    yield {"agent": agent, "user": user, "event": "token.verify", "outcome": "allowed"}
    yield {"agent": agent, "user": user, "event": "token.verify", "outcome": "allowed", **window}
    yield {"event": "token.verify", "outcome": "allowed", "until": day["start"]}
    yield {"user": user, "outcome": "info", "until": day["middle"]}
    yield {"event": "policy.deleted", "outcome": "denied", "since": day["start"]}


def _lists(
    kind: str,
    client: Client,
    path: str,
    names: dict[str, str],
    filters: list[dict[str, str]],
    cursors: dict[str, str],
) -> Iterator[Visit]:
    name = path.strip("/").removeprefix("api/v1/")
    for one in filters:
        query = {names[filtered]: _dated(kind, value) for filtered, value in one.items()}
        yield get(kind, f"{name}?{urlencode(one)}", client, path, query)
    for where, cursor in cursors.items():
        yield get(kind, f"{name}?cursor={where}", client, path, {"cursor": cursor})
        if kind != "admin":
            deep = {"cursor": cursor, names["outcome"]: "denied", names["event"]: "token.verify"}
            yield get(kind, f"{name}?denied&cursor={where}", client, path, deep)


def _cursors(criteria: Criteria) -> dict[str, str]:
    """Return the ids of entries in the middle and at the beginning of the log."""
    size = newest().size
    ends = {"middle": size // 2, "first": max(1, size // 50)}
    found: dict[str, Any] = {name: next(entries_below(end, criteria, 1), None) for name, end in ends.items()}
    return {name: entry.id for name, entry in found.items() if entry}


def _day(share: float) -> str:
    """Return the day at which this share of the log's time is over."""
    return f"{clock.now() - SPAN * (1 - share):%Y-%m-%d}"


def _dated(kind: str, value: str) -> str:
    is_day = len(value) == len("2026-01-01") and value[:2] == "20"
    return f"{value}T00:00:00Z" if kind == "API" and is_day else value


def _encode(cursor: str) -> str:
    return urlsafe_b64encode(cursor.encode()).rstrip(b"=").decode()
