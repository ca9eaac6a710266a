"""What agents hand to each other, in the developer portal."""

from developers.models import Organization
from tests.web.browser.pages.group import Content, Group
from tests.web.browser.pages.samples import LONG, RULES, WIDE
from tests.world import as_user, grant_to, hand_over, let_delegate, make_agent, make_developer, make_user
from tokens.delegations import end_delegation

SCOPES = ["email:read", "email:send", "calendar:read"]
SPEND = {
    "type": "spend_limit",
    "config": {"maxAmount": "100.00", "currency": "EUR", "windowSeconds": 86400, "scope": "per_user"},
}


def make() -> Content:
    """A long chain with long names, which another organization is part of, and what has ended."""
    developer, other = make_developer("gives@example.com", "Acme Robotics"), make_developer("takes@example.com", WIDE)
    Organization.objects.update(is_verified=True)
    user = make_user("ada@example.com", "Ada")
    agents = [make_agent(developer, name=name, allowed_scopes=SCOPES) for name in (LONG, WIDE[:100], "Summarizer")]
    others = make_agent(other, name=f"Translator {WIDE}"[:100], allowed_scopes=SCOPES)
    token = grant_to(agents[0], user, SCOPES)
    let_delegate(token, "verified")
    cut, _issued = hand_over(token, agents[2], SCOPES[:1])
    end_delegation(actor=as_user(user), delegation=cut)
    limits = {"email:send": [RULES[0], SPEND], "email:read": [SPEND]}
    first, issued = hand_over(token, agents[1], SCOPES, limits=limits, task=WIDE)
    _second, issued = hand_over(issued.access_token, others, SCOPES[:2])
    received, _issued = hand_over(issued.access_token, agents[2], SCOPES[:1], limits={"email:read": [SPEND]})
    return Content(
        developer.user.email, {"agent": agents[0].id, "given": first.pk, "received": received.pk, "cut": cut.pk}
    )


def make_none() -> Content:
    return Content(make_developer("alone@example.com", "Acme Robotics").user.email)


GROUPS = [
    Group(
        "developer-delegations",
        make,
        [
            "/developer/{organization}/delegations",
            "/developer/{organization}/delegations/{given}",
            "/developer/{organization}/delegations/{given}/end",
            "/developer/{organization}/agents/{agent}/delegations",
        ],
        [
            "/developer/{organization}/delegations?side=received",
            "/developer/{organization}/delegations/{received}",
            "/developer/{organization}/delegations/{cut}",
            "/developer/{organization}/delegations?status=ended&agent=nothing",
        ],
    ),
    Group(
        "developer-no-delegations",
        make_none,
        ["/developer/{organization}/delegations"],
        ["/developer/{organization}/delegations?side=received"],
    ),
]
