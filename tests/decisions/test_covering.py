"""The action of a request must be covered by a granted scope, which then counts as required."""

import pytest
from django.db import transaction

from core.actor import SYSTEM
from core.errors import Invalid
from decisions.requests import Decision, Reason
from developers.models import Developer
from policies.services import create_policy
from resources.custom_scopes import MAX_ACTIONS, ScopeDefinition, save_scopes
from tests.decisions.drivers import Decide, asking, bound, written_rows
from tests.world import grant_to, make_agent, make_caller, make_developer, make_grant, make_resource_server, make_user

pytestmark = pytest.mark.django_db

CHARGE = ["email:read", "payments:charge", "calendar:read", "calendar:write"]


def define(developer: Developer, scope: str, *covers: str, excludes: tuple[str, ...] = (), **fields: object) -> None:
    texts = {"risk_level": "low", "title": "Use it", "description": "Use it", "cannot": "do more", **fields}
    definition = ScopeDefinition(scope, covers=covers, excludes=excludes, **texts)  # type: ignore[arg-type]
    with transaction.atomic():
        save_scopes(developer.organization, [definition])


def one(decisions: list[Decision]) -> Decision:
    (decision,) = decisions
    return decision


def test_the_mode_of_the_covering_scope_applies(decide: Decide) -> None:
    grant = make_grant(scopes=CHARGE)
    decision = one(decide(asking(grant.access_token, "email:read", action="payments:capture")))
    assert decision.reason is Reason.APPROVAL_REQUIRED


def test_the_limits_of_the_covering_scope_apply(decide: Decide) -> None:
    grant = make_grant(scopes=CHARGE)
    limit = {"type": "rate_limit", "config": {"maxRequests": 1, "windowSeconds": 3600, "scope": "per_user"}}
    bound(grant, limits={"calendar:write": [limit]})
    request = asking(grant.access_token, "email:read", action="calendar:create")
    assert [one(decide(request)).allowed for _ in range(2)] == [True, False]


@pytest.mark.parametrize("named", ["calendar:write", "calendar:create", "calendar:*"])
def test_policies_that_name_the_scope_or_the_action_apply(decide: Decide, named: str) -> None:
    grant = make_grant(scopes=CHARGE)
    rules = [{"type": "action_blocklist", "config": {"actions": [named]}}]
    create_policy(actor=SYSTEM, organization=grant.agent.organization, name="No", rules=rules)
    denied = asking(grant.access_token, "email:read", action="calendar:create")
    other = asking(grant.access_token, "email:read", action="email:list")
    assert [each.reason for each in decide(denied, other)] == [Reason.POLICY_DENIED, None]


def test_a_required_scope_is_chosen_before_one_of_lower_risk(decide: Decide) -> None:
    grant = make_grant(scopes=["browser:act", "browser:signin"])
    click = {"action": "browser:click"}
    asked = [asking(grant.access_token, scope, **click) for scope in ("browser:act", "browser:signin")]
    assert [each.reason for each in decide(*asked)] == [None, Reason.APPROVAL_REQUIRED]


def test_of_several_the_scope_of_the_lowest_risk_is_chosen(decide: Decide) -> None:
    grant = make_grant(scopes=["browser:read", "browser:act", "browser:signin"])
    assert one(decide(asking(grant.access_token, "browser:read", action="browser:click"))).allowed


def test_the_log_has_the_covering_scope(decide: Decide) -> None:
    grant = make_grant(scopes=CHARGE)
    decide(asking(grant.access_token, "email:read", action="calendar:create"))
    (entry,) = written_rows()[-1]
    assert entry.content["scopes"] == ["calendar:write", "email:read"]


NOT_COVERED: dict[str, tuple[str, ...]] = {
    "email:send": ("email:send",),
    "email:move": ("email:manage",),
    "email:delete": ("email:manage",),
    "payments:refund": (),
    "db:query": ("db:read",),
    "db:drop": (),
    "email:unheard-of": (),
    "Email:read": (),
    "EMAIL:SEND": (),
    " email:send": (),
    "email :send": (),
    "ｅｍａｉｌ:send": (),  # noqa: RUF001 -- full width
    "em\u200bail:send": (),
    "email∶send": (),  # noqa: RUF001 -- a ratio
    "emaıl:send": (),  # noqa: RUF001 -- a dotless i
    "еmail:send": (),  # noqa: RUF001 -- Cyrillic
    "email：send": (),  # noqa: RUF001 -- full width
}
WORDS = ["email", "refund", "tickets:close", "emails:send", ":", "pay:now", "rückerstatten", "close it"]


def test_what_no_granted_scope_covers_is_denied(decide: Decide) -> None:
    grant = make_grant(scopes=["email:read"])
    decisions = decide(*[asking(grant.access_token, "email:read", action=action) for action in NOT_COVERED])
    found = {action: each.missing_scopes for action, each in zip(NOT_COVERED, decisions, strict=True)}
    assert found == NOT_COVERED
    assert {each.reason for each in decisions} == {Reason.INSUFFICIENT_SCOPE}


def test_other_words_are_the_services_own(decide: Decide) -> None:
    grant = make_grant(scopes=["email:read"])
    decisions = decide(*[asking(grant.access_token, "email:read", action=action) for action in WORDS])
    assert [each.allowed for each in decisions] == [True] * len(WORDS)


def test_what_is_required_and_what_would_cover_are_both_missing(decide: Decide) -> None:
    grant = make_grant(scopes=["email:read"])
    decision = one(decide(asking(grant.access_token, "calendar:read", action="email:send")))
    assert decision.missing_scopes == ("calendar:read", "email:send")


class TestOwnScopes:
    """Prefixes of organizations' own scopes."""

    def token(self, developer: Developer, *scopes: str) -> str:
        return grant_to(make_agent(developer, allowed_scopes=list(scopes)), make_user("ada@example.com"), list(scopes))

    def test_once_a_scope_covers_actions_all_must_be_covered(self, decide: Decide) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read")
        token = self.token(developer, "tickets:read")
        close = asking(token, "tickets:read", action="tickets:close")
        assert one(decide(close)).allowed, "no scope covers actions yet"

        define(developer, "tickets:write", "tickets:create")

        assert one(decide(close)).reason is Reason.INSUFFICIENT_SCOPE
        create = one(decide(asking(token, "tickets:read", action="tickets:create")))
        assert (create.reason, create.missing_scopes) == (Reason.INSUFFICIENT_SCOPE, ("tickets:write",))

    def test_a_scope_and_what_one_excludes_must_be_covered(self, decide: Decide) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read", excludes=("tickets:close",))
        define(developer, "tickets:admin")
        token = self.token(developer, "tickets:read")
        actions = ("tickets:close", "tickets:admin", "tickets:other", "tickets:read")
        reasons = [one(decide(asking(token, "tickets:read", action=action))).reason for action in actions]
        assert reasons == [Reason.INSUFFICIENT_SCOPE, Reason.INSUFFICIENT_SCOPE, None, None]

    @pytest.mark.postgresql
    def test_an_addition_binds_later_consents_only(self, decide: Decide) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read", "tickets:list")
        agent, user = make_agent(developer, allowed_scopes=["tickets:read"]), make_user("ada@example.com")
        token = grant_to(agent, user, ["tickets:read"])
        listing, closing = (asking(token, "tickets:read", action=f"tickets:{verb}") for verb in ("list", "close"))
        define(developer, "tickets:read", "tickets:list", "tickets:close")

        assert [each.reason for each in decide(listing, closing)] == [None, Reason.INSUFFICIENT_SCOPE]
        assert one(decide(closing)).missing_scopes == ("tickets:read",), "which the agent must ask for again"

        token = grant_to(agent, user, ["tickets:read"])
        assert one(decide(asking(token, "tickets:read", action="tickets:close"))).allowed

    def test_a_removal_binds_at_once_and_adding_it_again_is_an_addition(self, decide: Decide) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read", "tickets:list", "tickets:close")
        token = self.token(developer, "tickets:read")
        closing = asking(token, "tickets:read", action="tickets:close")
        allowed = [one(decide(closing)).allowed]
        for covers in (("tickets:list",), ("tickets:list", "tickets:close")):
            define(developer, "tickets:read", *covers)
            allowed.append(one(decide(closing)).allowed)
        assert allowed == [True, False, False]

    def test_what_a_scope_once_named_is_never_a_word_of_the_service_again(self, decide: Decide) -> None:
        """A user was told "cannot". A developer who leaves that out must not widen what the user allowed."""
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read", "tickets:list", excludes=("tickets:erase",))
        token = self.token(developer, "tickets:read")
        define(developer, "tickets:read")
        actions = ("tickets:list", "tickets:erase", "Tickets:erase")
        reasons = [one(decide(asking(token, "tickets:read", action=action))).reason for action in actions]
        assert reasons == [Reason.INSUFFICIENT_SCOPE] * 3

    def test_words_that_were_denied_when_the_user_agreed_stay_denied(self, decide: Decide) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read", "tickets:list")
        agent, user = make_agent(developer, allowed_scopes=["tickets:read"]), make_user("ada@example.com")
        earlier = grant_to(agent, user, ["tickets:read"])
        define(developer, "tickets:read")
        refunds = [asking(earlier, "tickets:read", action=word) for word in ("tickets:refund", "refund")]
        assert [each.reason for each in decide(*refunds)] == [Reason.INSUFFICIENT_SCOPE, None]

        later = grant_to(agent, user, ["tickets:read"])
        assert one(decide(asking(later, "tickets:read", action="tickets:refund"))).allowed

    def test_another_spelling_is_not_a_word_of_the_service(self, decide: Decide) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read", excludes=("tickets:close",))
        define(developer, "tickets:admin")
        token = self.token(developer, "tickets:read")
        spelled = ["Tickets:close", "tickets:close ", "TICKETS:ADMIN", "tickets：close", "ticketş:x"]  # noqa: RUF001
        decisions = decide(*[asking(token, "tickets:read", action=action) for action in spelled])
        assert [each.reason for each in decisions] == [Reason.INSUFFICIENT_SCOPE] * len(spelled)

    def test_a_scope_cannot_cover_another_one(self) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:admin", risk_level="critical")
        with pytest.raises(Invalid):
            define(developer, "tickets:read", "tickets:admin")
        define(developer, "tickets:read", "tickets:list")
        with pytest.raises(Invalid):
            define(developer, "tickets:list")

    def test_an_organization_names_a_bounded_number_of_actions(self) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read", *(f"tickets:a{number}" for number in range(MAX_ACTIONS)))
        with pytest.raises(Invalid):
            define(developer, "tickets:read", "tickets:another")

    def test_a_prefix_of_another_organization_denies_nothing(self, decide: Decide) -> None:
        define(make_developer("other@example.com", "Other"), "tickets:read", "tickets:list")
        grant = make_grant(scopes=["email:read"])
        assert one(decide(asking(grant.access_token, "email:read", action="tickets:close"))).allowed

    def test_the_prefix_of_the_service_that_asks_counts_not_that_of_the_agent(self, decide: Decide) -> None:
        shop, developer = make_developer("shop@example.com", "Shop"), make_developer("dev@example.com")
        define(shop, "orders:read", "orders:list")
        define(developer, "tickets:read", "tickets:list")
        server = make_resource_server(shop, "https://shop.example", "orders:read").server
        agent = make_agent(developer, allowed_scopes=["orders:read"])
        user = make_user("ada@example.com")
        token = grant_to(agent, user, ["orders:read"], resource=[server.identifier])
        caller = make_caller(server)
        asked = [
            asking(token, "orders:read", credential=caller, action=word) for word in ("orders:drop", "tickets:drop")
        ]
        asked += [asking(token, "orders:read", action="orders:drop", resource=server.identifier)]
        assert [each.reason for each in decide(*asked)] == [Reason.INSUFFICIENT_SCOPE, None, Reason.INSUFFICIENT_SCOPE]

    def test_actions_that_cannot_be_read_deny(self, decide: Decide, monkeypatch: pytest.MonkeyPatch) -> None:
        developer = make_developer("dev@example.com")
        define(developer, "tickets:read", "tickets:list")
        token = self.token(developer, "tickets:read")
        developer.organization.custom_scopes.update(covers=["tickets:list"])
        developer.organization.save(update_fields=["policy_version"])
        asked = asking(token, "tickets:read", action="tickets:list"), asking(token, "tickets:read")
        assert [each.allowed for each in decide(*asked)] == [False, True]
