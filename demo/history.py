"""A sample history, created through the services: consents allowed, denied and revoked, requests allowed and denied."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts.models import User
from agents.models import Agent
from agents.services import stop_agent
from consent.approval import approve_consent, deny_consent
from consent.connections import Choice
from consent.models import Consent
from consent.services import ConsentRequest, request_consent, revoke_consent
from core.actor import Actor
from decisions.requests import VerifyRequest
from decisions.services import decide
from demo import people
from demo.cast import BROWSER, CALLBACK, Cast, make_cast
from demo.people import People
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.refresh import refresh_tokens

OFFICE, ELSEWHERE = "203.0.113.20", "198.51.100.7"


def make_history() -> People:
    """Return the demo's users, created on the first start. Raises `RuntimeError` if the database has other users."""
    stored, has_users = people.load(), User.objects.exists()
    if stored and has_users:
        return stored
    if has_users:
        raise RuntimeError("The database already has other users. Set DATABASE_PATH to another file.")
    passwords = people.new_passwords()
    with transaction.atomic():
        cast = make_cast(passwords)
        _create_history(cast)
        made = People(
            passwords,
            client_id=cast.smart_mail.agent.client_id,
            client_secret=cast.smart_mail.client_secret,
            service_id=cast.service.server.id,
            service_secret=cast.service.secret,
        )
        people.store(made)
    return made


def _create_history(cast: Cast) -> None:
    _smart_mail_reaches_its_limit(cast)
    _ledger_reads_but_cannot_pay(cast)
    _planner_loses_its_tokens(cast)
    _night_owl_is_revoked(cast)
    _scout_is_denied_and_stopped(cast)


def _smart_mail_reaches_its_limit(cast: Cast) -> None:
    agent = cast.smart_mail.agent
    _, tokens = _grant(agent, cast.bob, ["email:read", "email:send"], granted=["email:read"])
    _use(cast, tokens, "email:send", context={"recipient": "all@example.com"})  # not granted
    for _ in range(11):  # the eleventh exceeds the limit
        _use(cast, tokens, "email:read")


def _ledger_reads_but_cannot_pay(cast: Cast) -> None:
    scopes = ["payments:read", "payments:charge"]
    _, tokens = _grant(cast.ledger, cast.ada, scopes)
    _use(cast, tokens, "payments:read", context={"ip": OFFICE})
    _use(cast, tokens, "payments:read", context={"ip": ELSEWHERE})
    amount = {"value": "12.50", "currency": "EUR"}
    _use(cast, tokens, "payments:charge", context={"ip": OFFICE, "amount": amount})


def _planner_loses_its_tokens(cast: Cast) -> None:
    _, tokens = _grant(cast.planner, cast.ada, ["calendar:read", "calendar:write"])
    _use(cast, tokens, "calendar:read")
    _use(cast, tokens, "calendar:write", action="calendar:invite")
    _use(cast, tokens, "calendar:read", action="contacts:export")
    # A thief uses the first refresh token a second time, which ends the family.
    for _ in range(2):
        refresh_tokens(actor=_as(cast.planner), agent=cast.planner, refresh_token=str(tokens.refresh_token))
    _use(cast, tokens, "calendar:read")


def _night_owl_is_revoked(cast: Cast) -> None:
    consent, tokens = _grant(cast.night_owl, cast.ada, ["files:read"])
    _use(cast, tokens, "files:read")
    revoke_consent(actor=BROWSER.acting_as("user", cast.ada.id), consent=consent)
    _use(cast, tokens, "files:read")


def _scout_is_denied_and_stopped(cast: Cast) -> None:
    consent = _request(cast.scout, ["browser:read", "social:post"])
    deny_consent(actor=BROWSER.acting_as("user", cast.ada.id), consent=consent, user=cast.ada)
    _, tokens = _grant(cast.scout, cast.bob, ["browser:read"])
    _use(cast, tokens, "browser:read")
    administrator = BROWSER.acting_as("administrator", cast.administrator.id)
    stop_agent(actor=administrator, agent=cast.scout, reason="Complaints about spam.")
    _use(cast, tokens, "browser:read")


def _request(agent: Agent, scopes: Sequence[str]) -> Consent:
    request = ConsentRequest(scopes=scopes, redirect_uri=CALLBACK, reason=f"{agent.description}.")
    return request_consent(actor=_as(agent), agent=agent, request=request)


def _grant(
    agent: Agent, user: User, scopes: Sequence[str], granted: Sequence[str] | None = None
) -> tuple[Consent, IssuedTokens]:
    actor = BROWSER.acting_as("user", user.id)
    approval = approve_consent(actor=actor, consent=_request(agent, scopes), user=user, choice=Choice(scopes=granted))
    tokens = exchange_code(actor=_as(agent), agent=agent, code=approval.code)
    if not isinstance(tokens, IssuedTokens):
        raise RuntimeError(tokens.detail)
    return approval.consent, tokens


def _use(
    cast: Cast, tokens: IssuedTokens, scope: str, action: str | None = None, context: dict[str, Any] | None = None
) -> None:
    """Verify a request of the agent, as the service would."""
    request = VerifyRequest(
        token=tokens.access_token,
        required_scopes=[scope],
        actor=BROWSER,
        resource_server=cast.service.server,
        action=action,
        context=context or {},
    )
    decide([request])


def _as(agent: Agent) -> Actor:
    return BROWSER.acting_as("agent", agent.id)
