"""The developer's log: busy, with long names, an open entry, errors, and nothing found."""

from datetime import timedelta
from typing import Any

from audit.events import Event
from core.actor import Actor
from core.chains import Link
from core.ids import new_id
from developers.acting import as_developer
from policies.services import create_policy
from tests.web.browser.pages.activity import DAY, MINUTE, call, deny
from tests.web.browser.pages.group import Content, Group
from tests.web.browser.pages.samples import LONG, RULES, WIDE
from tests.world import ANONYMOUS, allow, ask, make_agent, make_developer, make_resource_server, make_user

HIDDEN: dict[str, Any] = {"policyName": LONG, "ruleType": "rate_limit", "ruleIndex": 0, "detail": "20 in an hour. " * 5}


def make() -> Content:
    developer = make_developer("dev@example.com", "Acme Robotics")
    server = make_resource_server(developer, "https://mail.example").server
    ada = make_user("ada@example.com", "Ada")
    mail, long = (allow(ask(make_agent(developer, name=name)), ada) for name in ("SmartMail", LONG))
    actor = as_developer(ANONYMOUS, developer)
    policy = create_policy(actor=actor, organization=developer.organization, name=LONG, rules=RULES)
    denied = {"policy_id": policy.id, "policy_organization_id": policy.organization_id, "metadata": HIDDEN}
    asker = Actor("service", server.id, ip="198.51.100.9", request_id=new_id("req"))
    for number in range(24):
        call(mail, number * MINUTE + timedelta(seconds=number), ["email:read", "email:send"], actor=asker)
    call(long, 30 * MINUTE, ["email:read"], action=WIDE, resource=WIDE, actor=asker)
    deny(mail, 20 * MINUTE, "consent_expired", actor=asker)
    call(mail, 2 * DAY, [], event=Event.TOKEN_ISSUED)
    entry = deny(long, 10 * MINUTE, "policy_denied", actor=asker, action=WIDE, resource=WIDE, **denied)
    owner, delegation = developer.organization_id, new_id("del")
    links = (Link(mail.agent_id, None, owner), Link(long.agent_id, delegation, owner))
    bound = {"ruleType": "rate_limit", "limitedBy": "delegation", "delegationId": delegation}
    chained = deny(long, 5 * MINUTE, "policy_denied", actor=asker, chain=links, metadata=bound)
    ids = {"agent": mail.agent_id, "entry": entry, "policy": policy.id, "chained": chained}
    return Content(developer.user.email, ids)


GROUPS = [
    Group(
        "developer-logs",
        make,
        [
            "/developer/{organization}/logs",
            "/developer/{organization}/logs?policy={policy}&outcome=denied&from=2026-01-01T10:00&entry={entry}",
            "/developer/{organization}/logs?agent=Nobody&from=x",
            "/developer/{organization}/logs/{entry}",
        ],
        ["/developer/{organization}/logs?request=my-own-request", "/developer/{organization}/logs/{chained}"],
    ),
]
