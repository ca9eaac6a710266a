"""A sample history, created through the services: consents allowed, denied and revoked, requests allowed and denied."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts.models import User
from agents.models import Agent
from agents.services import stop_agent
from consent.connections import Choice
from consent.granting import approve_consent, deny_consent
from consent.models import Consent
from consent.services import ConsentRequest, request_consent, revoke_consent
from core import clock
from core.actor import Actor
from core.secrets import digest
from decisions.requests import Credential, VerifyRequest
from decisions.services import decide
from demo import people
from demo.people import People
from demo.sample_data import BROWSER, CALLBACK, SampleData, make_sample_data
from tokens.delegations import MAX_LIFETIME, Wanted, create_delegation
from tokens.exchange import exchange_code, redeem_delegation
from tokens.issuing import IssuedTokens
from tokens.refresh import refresh_tokens

OFFICE, ELSEWHERE = "203.0.113.20", "198.51.100.7"
ORDER = {"verb": "pay", "recipient": "Northwind Shop", "target": "Order 1041"}
INVITATION = {"verb": "invite", "recipient": "bob@example.com", "target": "Planning, Friday at 10"}


def make_history() -> People:
    """Return the demo's users, created on the first start. Raises `RuntimeError` if the database has other users."""
    stored, has_users = people.load(), User.objects.exists()
    if stored and has_users:
        return stored
    if has_users:
        raise RuntimeError("The database already has other users. Set DATABASE_PATH to another file.")
    passwords = people.new_passwords()
    with transaction.atomic():
        data = make_sample_data(passwords)
        _create_history(data)
        made = People(
            passwords,
            client_id=data.smart_mail.agent.client_id,
            client_secret=data.smart_mail.client_secret,
            service_id=data.service.server.id,
            service_secret=data.service.secret,
        )
        people.store(made)
    return made


def _create_history(data: SampleData) -> None:
    _smart_mail_reaches_its_limit(data)
    _ledger_reads_but_cannot_pay(data)
    _planner_loses_its_tokens(data)
    _night_owl_is_revoked(data)
    _scout_is_denied_and_stopped(data)


def _smart_mail_reaches_its_limit(data: SampleData) -> None:
    agent = data.smart_mail.agent
    _, tokens = _grant(agent, data.bob, ["email:read", "email:send"], granted=["email:read"])
    _use(data, tokens, "email:send", context={"recipient": "all@example.com"})  # not granted
    for _ in range(11):  # the eleventh exceeds the limit
        _use(data, tokens, "email:read")


def _ledger_reads_but_cannot_pay(data: SampleData) -> None:
    scopes = ["payments:read", "payments:charge"]
    _, tokens = _grant(data.ledger, data.ada, scopes, delegation="developer")
    _use(data, tokens, "payments:read", context={"ip": OFFICE})
    _use(data, tokens, "payments:read", context={"ip": ELSEWHERE})
    amount = {"value": "12.50", "currency": "EUR"}
    _use(data, tokens, "payments:charge", context={"ip": OFFICE, "amount": amount, **ORDER})
    receipts = _hand_over(data.ledger, tokens, data.clerk, ["payments:read"])
    _use(data, receipts, "payments:read", context={"ip": OFFICE, "verb": "read", "target": "Receipt 1041"})
    _use(data, receipts, "payments:charge", context={"ip": OFFICE, "amount": amount, **ORDER})  # not handed over


def _planner_loses_its_tokens(data: SampleData) -> None:
    _, tokens = _grant(data.planner, data.ada, ["calendar:read", "calendar:write"])
    _use(data, tokens, "calendar:read")
    _use(data, tokens, "calendar:write", action="calendar:invite", context=INVITATION)
    _use(data, tokens, "calendar:read", action="contacts:export")
    # A thief uses the first refresh token a second time, which ends the family.
    for _ in range(2):
        refresh_tokens(actor=_as(data.planner), agent=data.planner, refresh_token=str(tokens.refresh_token))
    _use(data, tokens, "calendar:read")


def _night_owl_is_revoked(data: SampleData) -> None:
    consent, tokens = _grant(data.night_owl, data.ada, ["files:read"])
    for name in ("Budget.xlsx", "Minutes.docx", "Offer.pdf"):
        _use(data, tokens, "files:read", context={"verb": "read", "target": name})
    revoke_consent(actor=BROWSER.acting_as("user", data.ada.id), consent=consent)
    _use(data, tokens, "files:read")


def _scout_is_denied_and_stopped(data: SampleData) -> None:
    consent = _request(data.scout, ["browser:read", "social:post"])
    deny_consent(actor=BROWSER.acting_as("user", data.ada.id), consent=consent, user=data.ada)
    _, tokens = _grant(data.scout, data.bob, ["browser:read"])
    _use(data, tokens, "browser:read")
    administrator = BROWSER.acting_as("administrator", data.administrator.id)
    stop_agent(actor=administrator, agent=data.scout, reason="Complaints about spam.")
    _use(data, tokens, "browser:read")


def _request(agent: Agent, scopes: Sequence[str]) -> Consent:
    request = ConsentRequest(scopes=scopes, redirect_uri=CALLBACK, reason=f"{agent.description}.")
    return request_consent(actor=_as(agent), agent=agent, request=request)


def _grant(
    agent: Agent,
    user: User,
    scopes: Sequence[str],
    granted: Sequence[str] | None = None,
    delegation: str | None = None,
) -> tuple[Consent, IssuedTokens]:
    actor = BROWSER.acting_as("user", user.id)
    approval = approve_consent(
        actor=actor,
        consent=_request(agent, scopes),
        user=user,
        choice=Choice(scopes=granted, delegation=delegation),
        signed_in_at=clock.now(),
    )
    tokens = exchange_code(actor=_as(agent), agent=agent, code=approval.code)
    if not isinstance(tokens, IssuedTokens):
        raise RuntimeError(tokens.detail)
    return approval.consent, tokens


def _hand_over(agent: Agent, tokens: IssuedTokens, receiver: Agent, scopes: Sequence[str]) -> IssuedTokens:
    """Let the agent hand the scopes to another one, at most five times an hour, for a day."""
    limit = {"type": "rate_limit", "config": {"maxRequests": 5, "windowSeconds": 3600, "scope": "per_user"}}
    wanted = Wanted(
        to=receiver.client_id, scopes=scopes, limits={scope: [limit] for scope in scopes}, lifetime=MAX_LIFETIME
    )
    made = create_delegation(actor=_as(agent), agent=agent, token=tokens.access_token, wanted=wanted)
    redeemed = redeem_delegation(actor=_as(receiver), agent=receiver, token=made.token)
    if not isinstance(redeemed, IssuedTokens):
        raise RuntimeError(redeemed.detail)
    return redeemed


def _use(
    data: SampleData, tokens: IssuedTokens, scope: str, action: str | None = None, context: dict[str, Any] | None = None
) -> None:
    """Verify a request of the agent, as the service would."""
    request = VerifyRequest(
        token=tokens.access_token,
        required_scopes=[scope],
        actor=BROWSER,
        credential=Credential(data.service.server.id, digest(data.service.secret)),
        action=action,
        context=context or {},
    )
    decide([request])


def _as(agent: Agent) -> Actor:
    return BROWSER.acting_as("agent", agent.id)
