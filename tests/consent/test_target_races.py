"""The targets of a connection after concurrent approvals, and while decisions run."""

from collections.abc import Callable
from typing import Any

import pytest

from consent.connections import Choice
from consent.details import AuthorizationDetail
from consent.granting import approve_consent
from consent.models import Consent
from consent.targets import Pick
from core.errors import DomainError
from decisions.requests import VerifyRequest
from decisions.services import decide
from tests.threads import race
from tests.world import ANONYMOUS, as_user, ask
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 3
READ, FREEBUSY = "email:read", "calendar:freebusy"


def detail(scope: str, *identifiers: str) -> AuthorizationDetail:
    return AuthorizationDetail(type="account", identifiers=list(identifiers), actions=[scope])


def approving(agent: Any, user: Any, scope: str, offered: list[str], picked: list[str]) -> Callable[[], Any]:
    """Return an approval of a new request, which picks these."""
    pending = ask(agent, scopes=[scope], authorization_details=[detail(scope, *offered)])

    def act() -> Any:
        fresh = Consent.objects.select_related("agent__organization").get(pk=pending.pk)
        choice = Choice(targets=[Pick("account", picked)])
        return approve_consent(actor=as_user(user), consent=fresh, user=user, choice=choice)

    return act


def identifiers(consent: Consent, scope: str) -> list[str]:
    return [one for target in consent.targets[scope] for one in target["identifiers"]]


def test_concurrent_approvals_leave_the_targets_of_the_last(agent: Any, ada: Any) -> None:
    for _ in range(ROUNDS):
        names = ["one", "two", "three"]
        outcomes = race([approving(agent, ada, READ, names, [name]) for name in names])
        assert not [each for each in outcomes if isinstance(each, DomainError)]
        live = Consent.objects.get(status=Consent.Status.APPROVED)
        assert len(identifiers(live, READ)) == 1
        decided = [Consent.objects.get(pk=each.consent.pk) for each in outcomes]
        (last,) = [each for each in decided if each.pk == live.pk]
        assert identifiers(last, READ) == identifiers(live, READ)


def test_concurrent_approvals_of_other_scopes_keep_each_others_targets(agent: Any, ada: Any) -> None:
    for number in range(ROUNDS):
        name = f"account {number}"
        race([approving(agent, ada, scope, [name, "x"], [name]) for scope in (READ, FREEBUSY)])
        live = Consent.objects.get(status=Consent.Status.APPROVED)
        assert (identifiers(live, READ), identifiers(live, FREEBUSY)) == ([name], [name])


def test_a_code_is_exchanged_with_the_targets_of_its_time(agent: Any, ada: Any) -> None:
    """A token never has details that were not granted when it was issued."""
    for _ in range(ROUNDS):
        code = approving(agent, ada, READ, ["a", "b"], ["a", "b"])().code
        narrow = approving(agent, ada, READ, ["a", "b"], ["b"])
        issued, _approved = race([lambda code=code: exchange_code(actor=ANONYMOUS, agent=agent, code=code), narrow])
        assert isinstance(issued, IssuedTokens)
        assert issued.authorization_details[0]["identifiers"] in (["a", "b"], ["b"])
        request = VerifyRequest(issued.access_token, [READ], ANONYMOUS, context={"target": "a"})
        assert not decide([request])[0].allowed


def test_nothing_unpicked_is_allowed_after_the_approval_has_answered(agent: Any, ada: Any) -> None:
    for _ in range(ROUNDS):
        code = approving(agent, ada, READ, ["a", "b"], ["a", "b"])().code
        token = exchange_code(actor=ANONYMOUS, agent=agent, code=code)
        assert isinstance(token, IssuedTokens)
        request = VerifyRequest(token.access_token, [READ], ANONYMOUS, context={"target": "a"})
        narrow = approving(agent, ada, READ, ["a", "b"], ["b"])

        def narrow_then_ask(narrow: Any = narrow, request: Any = request) -> bool:
            narrow()
            return decide([request])[0].allowed

        outcomes = race([narrow_then_ask, *[lambda request=request: decide([request])[0].allowed] * 4])
        assert outcomes[0] is False
        assert not decide([request])[0].allowed
