"""The analytics of the developer portal."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from agents.models import Agent
from audit.entries.drafts import Draft
from audit.events import Event, Outcome
from audit.sequencing.sequencer import sequence
from core import clock
from core.actor import Actor
from developers.acting import as_developer
from developers.models import Developer
from insights.services import rebuild
from policies.models import Policy
from policies.services import create_policy
from tests.audit.journals import write_drafts
from tests.web.browser.pages.group import Content, Group
from tests.web.browser.pages.samples import LONG, RULES, WIDE
from tests.world import AGENT_SCOPES, ANONYMOUS, make_agent, make_developer

SERVICE = Actor("service", "res_1", ip="203.0.113.7")
MOMENTS = 60


def make() -> Content:
    developer = make_developer("charts@example.com", "Acme Robotics")
    names = (LONG, WIDE[:100], "Travel Desk", "Invoice Clerk", "Night Watch", "Courier", "Scribe")
    agents = [make_agent(developer, name=name) for name in names]
    actor = as_developer(ANONYMOUS, developer)
    policies = [
        create_policy(actor=actor, organization=developer.organization, name=name, rules=RULES)
        for name in ("No weekends", LONG)
    ]
    random_, now = random.Random(7), clock.now()
    for place in range(MOMENTS):
        # Half of them in the last seven days.
        at = now - timedelta(hours=random_.randrange(1, 165) if place % 2 else random_.randrange(165, 1200))
        write_drafts(list(_drafts(random_, developer, agents, policies)), at)
    sequence()
    rebuild()
    return Content(developer.user.email, {"agent": agents[0].id})


def make_quiet() -> Content:
    return Content(make_developer("quiet@example.com", LONG).user.email)


def _drafts(
    random_: random.Random, developer: Developer, agents: list[Agent], policies: list[Policy]
) -> Iterator[Draft]:
    owner = developer.organization_id
    for _ in range(random_.randrange(4, 40)):
        agent = random_.choices(agents, [20, 12, 8, 5, 3, 2, 1])[0]
        scopes = random_.sample([*AGENT_SCOPES, f"acme:{'w' * 60}"], random_.randrange(1, 3))
        fields: dict[str, Any] = {"organization_id": owner, "agent_id": agent.id, "user_id": "usr_1", "scopes": scopes}
        yield random_.choices(
            [
                Draft(Event.TOKEN_VERIFY, SERVICE, Outcome.ALLOWED, **fields),
                _denied(random_, policies, fields),
                _consent_step(random_, fields),
            ],
            [12, 3, 3],
        )[0]


def _denied(random_: random.Random, policies: list[Policy], fields: dict[str, Any]) -> Draft:
    policy = random_.choice(policies)
    kinds: list[dict[str, Any]] = [
        {"reason": "insufficient_scope"},
        {"reason": "token_expired"},
        {"reason": "policy_denied", "metadata": {"ruleType": "spend_limit", "limitedBy": "user"}},
        {
            "reason": "policy_denied",
            "policy_id": policy.id,
            "policy_organization_id": policy.organization_id,
            "metadata": {"ruleType": "time_window", "ruleIndex": 0, "policyName": policy.name, "detail": "Weekend"},
        },
    ]
    return Draft(Event.TOKEN_VERIFY, SERVICE, Outcome.DENIED, **{**fields, **random_.choices(kinds, [3, 1, 1, 6])[0]})


def _consent_step(random_: random.Random, fields: dict[str, Any]) -> Draft:
    nobody = {**fields, "user_id": None}
    declined = {"requestedScopes": AGENT_SCOPES, "notGranted": random_.sample(AGENT_SCOPES, 2)}
    steps = [
        Draft(Event.CONSENT_REQUESTED, ANONYMOUS, **{**nobody, "scopes": AGENT_SCOPES}),
        Draft(Event.CONSENT_APPROVED, ANONYMOUS, Outcome.ALLOWED, **fields),
        Draft(Event.CONSENT_APPROVED, ANONYMOUS, Outcome.ALLOWED, metadata=declined, **fields),
        Draft(Event.CONSENT_DENIED, ANONYMOUS, Outcome.DENIED, **fields),
        Draft(Event.CONSENT_EXPIRED, ANONYMOUS, **nobody),
    ]
    return random_.choices(steps, [10, 5, 3, 1, 2])[0]


GROUPS = [
    Group(
        "developer-analytics",
        make,
        [
            "/developer/{organization}/analytics?period=90d",
            "/developer/{organization}/analytics?agent=nobody&period=30d",
        ],
        ["/developer/{organization}/analytics", "/developer/{organization}/analytics?period=24h&agent={agent}"],
    ),
    Group("developer-analytics-empty", make_quiet, [], ["/developer/{organization}/analytics"]),
]
