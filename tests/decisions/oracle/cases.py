"""Random cases: policies, connections with their terms, and calls over some days. A case depends only on its number."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tests.decisions.oracle.calls import Call, Connection, Policy, Reaction, Rule, Service
from tests.decisions.oracle.oracle import COVERS, LABELS, OUR_AUDIENCE, REASONS, SHOP_COVERS

CATALOGUE: Mapping[str, Sequence[str]] = {
    "email:read": ("private", "untrusted"),
    "email:send": ("outbound",),
    "payments:read": ("private",),
    "browser:read": ("untrusted",),
    "browser:act": ("untrusted", "outbound"),
    "calendar:freebusy": (),
}
OWN_SCOPES = ("shop:read", "shop:order")
ACTIONS = [*COVERS, *SHOP_COVERS, *CATALOGUE, *OWN_SCOPES, "payments:refund", "Email:read", "shop:close", "tidy", "a:b"]
PATTERNS = [*CATALOGUE, *OWN_SCOPES, "browser:click", "shop:pay", "email:*", "browser:*", "shop:*", "payments:*"]
OWN, OTHER = "org_1", "org_2"
SERVICES = (Service("res_1", "https://own.example", OWN), Service("res_2", "https://shop.example", OTHER))
WINDOWS = (64, 640, 7_680, 86_400)
# Including one moment before the end of a window, and one after the time in which a limit may still count a call.
GAPS = (0.001, 1, 7, 31, 300, 2_000, 20_000, *(w - 0.001 for w in WINDOWS), *(w * 65 / 64 + 0.001 for w in WINDOWS))
HOURS = (("06:00", "23:30"), ("09:00", "17:00"), ("20:00", "12:00"), ("22:00", "21:59"))
# In minutes after midnight.
EDGES = [60 * int(text[:2]) + int(text[3:]) for hours in HOURS for text in hours]
NETWORKS = ("192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32", "0.0.0.0/0")
ADDRESSES = ("192.0.2.1", "198.51.100.7", "::ffff:192.0.2.9", "2001:db8::5", "203.0.113.1", "unknown")
PEOPLE = ("ann@acme.com", "Ann@ACME.com", "bob@acme.com", "eve@evil.com", "eve@evil.com, ann@acme.com", " ann@acme.com")
RESOURCES = ("https://files.example/acme/plan", "https://files.example/acme/../evil", "https://own.example")
AMOUNTS: Sequence[Mapping[str, Any]] = (
    *({"value": value, "currency": "EUR"} for value in ("0.10", "12.50", "19.99", "30", "0", 7, "0.00000001")),
    {"value": "5.00", "currency": "USD"},
    {"value": "100", "currency": "JPY"},
    {"value": "-1.00", "currency": "EUR"},
    {"value": 2.5, "currency": "EUR"},
    {"value": "1e1", "currency": "EUR"},
    {"currency": "EUR"},
    {"value": "12.50", "currency": "EUR", "multiplier": 100},
)
CONDITIONS: Sequence[Mapping[str, Any]] = (
    {"field": "recipient", "operator": "ends_with", "value": "@acme.com"},
    {"field": "recipient", "operator": "starts_with", "value": "ann@"},
    {"field": "recipient", "operator": "equals", "value": "ann@acme.com"},
    {"field": "recipient", "operator": "not_equals", "value": "ann@acme.com"},
    {"field": "recipient", "operator": "in", "values": ["ann@acme.com", "bob@acme.com"]},
    {"field": "recipient", "operator": "not_in", "values": ["eve@evil.com", "bob@acme.com"]},
    {"field": "recipient", "operator": "not_equals", "value": "bob@ACME.com"},
    {"field": "recipient", "operator": "glob", "value": "*n?@acme.com"},
    {"field": "recipient", "operator": "matches_any", "values": ["*@acme.com", "eve@example.com"]},
    {"field": "recipients.address", "operator": "ends_with", "value": "@acme.com"},
    {"field": "recipients.address", "operator": "not_in", "values": ["EVE@evil.com"]},
    {"field": "recipients.address", "operator": "exists", "value": True},
    {"field": "amount.value", "operator": "at_most", "value": "19.99"},
    {"field": "amount.value", "operator": "at_least", "value": 7},
    {"field": "amount.currency", "operator": "equals", "value": "EUR"},
    {"field": "count", "operator": "equals", "value": 3},
    {"field": "count", "operator": "at_most", "value": 3},
    {"field": "count", "operator": "not_in", "values": [4, 5]},
    {"field": "urgent", "operator": "equals", "value": True},
    {"field": "urgent", "operator": "exists", "value": False},
    {"field": "resource", "operator": "starts_with", "value": "https://files.example/acme/"},
    {"field": "resource", "operator": "glob", "value": "https://*.example*"},
)


@dataclass(frozen=True)
class Case:
    """`batches` are calls that come together. `reactions` are what the user then answers to each of them, if asked."""

    number: int
    policies: Sequence[Policy]
    services: Sequence[Service]
    labels: Mapping[str, Sequence[str]]
    batches: Sequence[Sequence[Call]]
    reactions: Sequence[Sequence[Reaction | None]]

    def shuffled(self) -> "Case":
        """Return the case with policies, rules and limits in another order."""
        mix = partial(_shuffled, random.Random(self.number))
        policies = mix([replace(policy, rules=tuple(mix(policy.rules))) for policy in self.policies])
        batches = [[_with_limits_mixed(call, mix) for call in batch] for batch in self.batches]
        return replace(self, policies=policies, batches=batches)


def make_case(number: int) -> Case:
    return _Maker(random.Random(number)).case(number)


class _Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.earlier: list[Call] = []
        self.services: Sequence[Service] = ()
        # Few, so that limits that must not share a counter differ in little.
        self.windows = rng.sample(WINDOWS, 2)
        self.common_limit = self.rate_limit()
        # Some cases are about approvals: most scopes ask, and most calls repeat an earlier one.
        self.asking, self.repeating = (0.9, 0.85) if self.chance(0.25) else (0.2, 0.5)
        self.labels = {**CATALOGUE, **{scope: self.some(LABELS, 0.4) for scope in OWN_SCOPES}}

    def case(self, number: int) -> Case:
        policies = [self.policy() for _ in range(self.rng.choice((0, 1, 1, 2, 3)))]
        services = self.services = [replace(each, is_suspended=self.chance(0.01)) for each in SERVICES]
        connections = [self.connection(agent, user) for agent in ("agt_1", "agt_2") for user in ("usr_1", "usr_2")]
        connections = self.rng.sample(connections, self.rng.choice((1, 2, 4)))
        batches = [self.batch(at, connections, services) for at in self.moments(self.rng.randint(3, 6))]
        reactions = [[self.reaction() for _ in batch] for batch in batches]
        return Case(number, policies, services, self.labels, batches, reactions)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def some[Item](self, items: Sequence[Item], probability: float) -> tuple[Item, ...]:
        return tuple(item for item in items if self.chance(probability))

    def patterns(self) -> list[str]:
        return self.rng.sample(PATTERNS, self.rng.randint(1, 3))

    def policy(self) -> Policy:
        organization = self.rng.choice((OWN, OWN, OTHER))
        rules = [self.rule() for _ in range(self.rng.choice((1, 1, 2, 3)))]
        rules += [self.twin(rule) for rule in rules if "scope" in rule["config"] and self.chance(0.4)]
        agent = "agt_1" if self.chance(0.3) else None
        return Policy(organization, agent, "shadow" if self.chance(0.2) else "enforce", tuple(rules))

    def rule(self) -> Rule:
        kinds = [*self.limit_makers(), self.allowlist, self.blocklist]
        rule = self.rng.choice([*kinds, self.data_flow, self.data_flow, self.data_flow])()
        if not rule["type"].startswith("action_") and self.chance(0.5):
            rule["config"]["actions"] = self.patterns()
        return rule

    def twin(self, rule: Rule) -> Rule:
        """Return a rule that may count other calls than this one, which must not share their counter then."""
        changes = {"actions": self.patterns()} if self.chance(0.7) else self.period()
        return {"type": rule["type"], "config": {**rule["config"], **changes}}

    def limit_makers(self) -> list[Any]:
        return [self.rate_limit, self.rate_limit, self.spend_limit, self.time_window, self.ip_allowlist, self.match]

    def rate_limit(self) -> dict[str, Any]:
        return _rule("rate_limit", maxRequests=self.rng.randint(1, 4), **self.period())

    def spend_limit(self) -> dict[str, Any]:
        maximum = self.rng.choice(("12.50", "40.00", "60.09999999", "0.30"))
        return _rule("spend_limit", maxAmount=maximum, currency="EUR", **self.period())

    def period(self) -> dict[str, Any]:
        scope = self.rng.choice(("per_user", "per_agent", "global"))
        return {"windowSeconds": self.rng.choice(self.windows), "scope": scope}

    def time_window(self) -> dict[str, Any]:
        days = [day for day in range(8) if self.chance(0.8)] or [1]
        hours = self.rng.choice(HOURS)
        config: dict[str, Any] = {"allowedDays": days, "startTimeUtc": hours[0], "endTimeUtc": hours[1]}
        zone = self.rng.choice((None, "UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"))
        return _rule("time_window", **config | ({"timezone": zone} if zone else {}))

    def ip_allowlist(self) -> dict[str, Any]:
        return _rule("ip_allowlist", cidrs=self.rng.sample(NETWORKS, self.rng.randint(1, 3)))

    def match(self) -> dict[str, Any]:
        return _rule("context_match", conditions=self.rng.sample(CONDITIONS, self.rng.choice((1, 1, 2))))

    def allowlist(self) -> dict[str, Any]:
        return _rule("action_allowlist", actions=self.rng.sample(PATTERNS, self.rng.randint(5, len(PATTERNS))))

    def blocklist(self) -> dict[str, Any]:
        return _rule("action_blocklist", actions=self.patterns())

    def data_flow(self) -> dict[str, Any]:
        return _rule("data_flow", windowSeconds=self.rng.choice(self.windows), then=self.rng.choice(("ask", "deny")))

    def connection(self, agent: str, user: str) -> Connection:
        scopes = self.some(list(self.labels), 0.95)
        audience = [*((OUR_AUDIENCE,) if self.chance(0.95) else ()), *self.some([s.identifier for s in SERVICES], 0.9)]
        broken = self.some(REASONS[:-1], 0.15) if self.chance(0.05) else ()
        return Connection(f"{agent}/{user}", user, agent, OWN, scopes, tuple(audience), self.terms(scopes), broken)

    def terms(self, scopes: Sequence[str]) -> dict[str, Any]:
        terms = {
            "modes": dict.fromkeys(self.some(scopes, self.asking), "ask"),
            "limits": {
                scope: [self.limit() for _ in range(self.rng.randint(1, 2))] for scope in self.some(scopes, 0.15)
            },
            "guards": {"data_flow": self.rng.choice(("ask", "deny"))} if self.chance(0.2) else {},
            "editions": {scope: self.rng.choice((1, 2, 2)) for scope in self.some(OWN_SCOPES, 0.9)},
        }
        return {name: part for name, part in terms.items() if part} if self.chance(0.7) else {}

    def limit(self) -> Rule:
        return self.common_limit if self.chance(0.4) else self.rng.choice(self.limit_makers())()

    def moments(self, number: int) -> list[datetime]:
        """Return times, no two of them a window apart, give or take what a limit may count longer.

        Many begin when opening hours begin or end.
        """
        seconds = self.rng.randrange(86_400) if self.chance(0.5) else 60 * self.rng.choice(EDGES)
        moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(self.rng.randrange(365), seconds)]
        while len(moments) < number:
            moment = moments[-1] + timedelta(seconds=self.rng.choice(GAPS))
            if all(_is_clear((moment - other).total_seconds()) for other in moments):
                moments.append(moment)
        return moments

    def batch(self, at: datetime, connections: Sequence[Connection], services: Sequence[Service]) -> list[Call]:
        calls = []
        for _ in range(self.rng.choice((1, 1, 2, 4))):
            is_repeated = self.earlier and self.chance(self.repeating)
            calls.append(self.again(at) if is_repeated else self.call(at, self.rng.choice(connections), services))
            self.earlier.append(calls[-1])
        return calls

    def again(self, at: datetime) -> Call:
        """Return an earlier call, or one that differs from it in what an approval may or may not ignore."""
        call = self.rng.choice(self.earlier[-4:])
        changed = self.rng.choice((None, None, "ip", "amount", "recipient", "count", "task", "text", "asker"))
        context = {**call.context, **{name: value for name, value in self.context().items() if name == changed}}
        asker = self.rng.choice((None, *self.services)) if changed == "asker" else call.asker
        return replace(call, at=at, context=context, asker=asker)

    def call(self, at: datetime, connection: Connection, services: Sequence[Service]) -> Call:
        asker = self.rng.choice((None, None, *services))
        scopes = tuple(self.rng.sample([*self.labels], self.rng.choice((1, 1, 1, 2))))
        action = self.rng.choice(ACTIONS) if self.chance(0.2) else None
        resource = self.rng.choice((*RESOURCES, *(each.identifier for each in services))) if self.chance(0.5) else None
        address = self.rng.choice(ADDRESSES[:-1]) if self.chance(0.7) else None
        return Call(at, connection, asker, scopes, action, resource, self.context(), address)

    def context(self) -> dict[str, Any]:
        """Return a context whose values often repeat, so that approvals cover later calls too."""
        given = {
            "ip": (0.5, ADDRESSES),
            "recipient": (
                0.6,
                (*PEOPLE[:3], *PEOPLE, ["ann@acme.com", "bob@acme.com"], ["ann@acme.com", "eve@evil.com"], []),
            ),
            "recipients": (
                0.3,
                ([{"address": "ann@acme.com"}], [{"address": "eve@evil.com"}, {"address": None}], [], [{}]),
            ),
            "amount": (0.6, (*AMOUNTS[:4], *AMOUNTS)),
            "task": (0.2, ("t1", "t2")),
            "labels": (0.1, (["private"], ["untrusted"], ["outbound"], [], ["secret"], "private")),
            "count": (0.3, (3, 4, "3", "x", [1, 2])),
            "urgent": (0.2, (True, False, None, "true")),
            "verb": (0.1, ("pay",)),
            "text": (0.6, ("Hello", "Hello!", "")),
        }
        return {name: self.rng.choice(values) for name, (often, values) in given.items() if self.chance(often)}

    def reaction(self) -> Reaction | None:
        answer = self.rng.choice((None, "once", "once", "target", "target", "denied"))
        return Reaction(answer, self.rng.choice((50, 5_001, 100_001))) if answer else None


def _rule(name: str, **config: Any) -> dict[str, Any]:
    return {"type": name, "config": config}


def _is_clear(seconds: float) -> bool:
    return not any(window <= seconds <= window * 65 / 64 for window in WINDOWS)


def _shuffled[Item](rng: random.Random, items: Sequence[Item]) -> list[Item]:
    return rng.sample(items, len(items))


def _with_limits_mixed(call: Call, mix: Any) -> Call:
    terms = {**call.connection.terms}
    if "limits" in terms:
        terms["limits"] = {scope: mix(rules) for scope, rules in mix([*terms["limits"].items()])}
    return replace(call, connection=replace(call.connection, terms=terms))
