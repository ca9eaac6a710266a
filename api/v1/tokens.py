"""Exchange, refresh, revoke and verify tokens."""

from functools import partial

from agents.errors import EverythingStopped, InvalidClient
from agents.models import Agent
from api.clients import DuplicateClientCredentials, client_of, has_client_credentials
from api.endpoint import Endpoint
from api.inquiries import batch_inquiry, count_receipts, verify_inquiry
from api.operations import operation
from api.v1.schemas.tokens import (
    ClientBody,
    DecisionOut,
    DecisionsOut,
    ExchangeBody,
    RefreshBody,
    RevokeBody,
    RevokedTokenOut,
    TokensOut,
    VerifyBatchBody,
    VerifyRequestBody,
    show_tokens,
)
from audit.signing import log_keys
from core.actor import Actor
from core.errors import NotAuthenticated, OutcomeUnknown
from core.http import BASIC_CHALLENGE
from core.idempotency import TOKEN_ANSWER_LIFETIME, Answer
from core.messages import DECIDE, Reply
from decisions.inquiries import Inquiry, answer
from decisions.requests import Reason
from limits.reservations import ReservationExpired, ReservationResolved
from tokens.errors import InvalidGrant
from tokens.exchange import exchange_code, redeem_delegation
from tokens.issuing import IssuedTokens, Refusal, require_issued
from tokens.refresh import refresh_tokens
from tokens.services import revoke_token

VERIFY_DESCRIPTION = (
    "A denial is a 200 too. If AgentGate signed the token, the decision is logged before the response. `reason` is the "
    "first that applies of "
    + ", ".join(f"`{reason.value}`" for reason in Reason)
    + ".\n\nCallers without a credential are throttled by address (`THROTTLE_VERIFY`; each request of a batch counts); "
    "resource servers are not. Rules see the whole `context`. If it is longer than 4096 bytes, the log keeps only its "
    "digest, size and beginning.\n\nThe policies of two organizations apply, and both have the decision in their logs: "
    "the agent's, and that of the resource server that asks or, without a credential, of the one whose identifier is "
    "`resource`, in any spelling. If the token is not meant for that resource server, the reason is `wrong_audience`."
    "\n\n`approval_required` comes with `approvalId`, `approvalUrl`, where the user decides, and `approvalStatus`. "
    "While it is `pending`, wait for the approval, then ask again. Once it is `denied`, the user has said no: do not "
    "ask again. With `explain`, a resource server gets what each rule said of the request.\n\n"
    "With `reserve`, an allowed decision holds the amount of `context.amount` for `expiresInSeconds` and has a "
    "`reservationId` to commit or void. Repeated with the same `Idempotency-Key`, it reserves nothing more: what is "
    "checked before the policies is checked again, and then it has the same answer, without a trace, while the "
    "reservation is held.\n\n"
    "With `receipt`, the response has the decision signed by the log's key (RFC 7515), if the decision is logged."
)


def exchange(agent: Agent, body: ExchangeBody, actor: Actor) -> TokensOut:
    """Exchange the code, or redeem the delegation token. Raises `InvalidGrant` and `EverythingStopped`."""
    if body.delegation_token is not None:
        return _show(redeem_delegation(actor=actor, agent=agent, token=body.delegation_token))
    return _show(
        exchange_code(
            actor=actor,
            agent=agent,
            code=body.code or "",
            code_verifier=body.code_verifier,
            redirect_uri=body.redirect_uri,
        )
    )


def refresh(agent: Agent, body: RefreshBody, actor: Actor) -> TokensOut:
    """Rotate the refresh token. Raises `InvalidGrant` and `EverythingStopped`."""
    return _show(refresh_tokens(actor=actor, agent=agent, refresh_token=body.refresh_token))


class ClientEndpoint(Endpoint):
    """An endpoint for agents with client credentials."""

    challenge = BASIC_CHALLENGE

    def client(self, body: ClientBody) -> Agent:
        """Return the authenticated agent, and make it the actor."""
        agent = client_of(self.request.headers, body, self.actor)
        self.actor = self.actor.acting_as("agent", agent.id)
        return agent


class Exchange(ClientEndpoint):
    @operation(
        "exchangeCode",
        "Exchange an authorization code or a delegation token for tokens",
        description="A code works once. Using it again revokes the tokens that it issued. A client that lost the "
        "response can repeat the request with the same `Idempotency-Key` within 60 seconds. With `delegationToken`, an "
        "agent accepts what another one handed over: once, within a minute. Using that token again, or by another "
        "agent, is `invalid_grant` and revokes nothing.",
        answer=TokensOut,
        errors=(InvalidGrant, InvalidClient, DuplicateClientCredentials, EverythingStopped),
        repeatable=True,
    )
    def post(self, body: ExchangeBody) -> Answer:
        agent = self.client(body)
        work = partial(exchange, agent, body, self.actor)
        return self.answer_once(agent.client_id, work, lifetime=TOKEN_ANSWER_LIFETIME)


class Refresh(ClientEndpoint):
    @operation(
        "refreshTokens",
        "Rotate a refresh token",
        description="A refresh token works once. Using it again revokes its whole family. A client that lost the "
        "response can repeat the request with the same `Idempotency-Key` within 60 seconds.",
        answer=TokensOut,
        errors=(InvalidGrant, InvalidClient, DuplicateClientCredentials, EverythingStopped),
        repeatable=True,
    )
    def post(self, body: RefreshBody) -> Answer:
        agent = self.client(body)
        work = partial(refresh, agent, body, self.actor)
        return self.answer_once(agent.client_id, work, lifetime=TOKEN_ANSWER_LIFETIME)


class Revoke(ClientEndpoint):
    @operation(
        "revokeToken",
        "Revoke a token and its whole family",
        description="The response is the same for an unknown token. With client credentials, only that client's tokens "
        "are revoked.",
        answer=RevokedTokenOut,
        errors=(InvalidClient, DuplicateClientCredentials),
        request_example={"token": "eyJhbGciOi..."},
    )
    def post(self, body: RevokeBody) -> RevokedTokenOut:
        agent = self.client(body) if has_client_credentials(self.request.headers, body) else None
        revoke_token(actor=self.actor, token=body.token, agent=agent)
        return RevokedTokenOut(revoked=True)


class DecisionEndpoint(Endpoint):
    """An endpoint for services that ask for decisions. A resource server's credential is optional by default.

    The server answers these paths in its event loop (`api/v1/direct.py`), unless it cannot do so completely. Even then
    the event loop decides.
    """

    challenge = BASIC_CHALLENGE

    def decide(self, body: VerifyRequestBody | VerifyBatchBody, inquiry: Inquiry) -> Reply:
        """Return the decisions. The key of receipts is loaded before anything is decided."""
        if count_receipts(body):
            log_keys.load()
        return answer(inquiry, self.request.META.get(DECIDE))


class Verify(DecisionEndpoint):
    @operation(
        "verifyToken",
        "Decide whether an agent may act for a user",
        description=VERIFY_DESCRIPTION,
        answer=DecisionOut,
        errors=(NotAuthenticated, ReservationResolved, ReservationExpired, OutcomeUnknown),
        repeatable=True,
        request_example={
            "token": "eyJhbGciOi...",
            "requiredScopes": ["email:send"],
            "context": {"ip": "203.0.113.7"},
        },
    )
    def post(self, body: VerifyRequestBody) -> Reply:
        return self.decide(body, verify_inquiry(body, self.request.data, self.actor, self.request.headers))


class VerifyBatch(DecisionEndpoint):
    @operation(
        "verifyTokens",
        "Decide up to 100 requests at once",
        description="Decisions are in the order of the requests. A malformed request is a 400 that contains its index.",
        answer=DecisionsOut,
        errors=(NotAuthenticated, ReservationResolved, ReservationExpired, OutcomeUnknown),
        repeatable=True,
    )
    def post(self, body: VerifyBatchBody) -> Reply:
        return self.decide(body, batch_inquiry(body, self.request.data, self.actor, self.request.headers))


def _show(result: IssuedTokens | Refusal) -> TokensOut:
    """Return the tokens. Raises `InvalidGrant` after the commit, so tokens revoked because of a replay stay revoked.

    Raises `EverythingStopped`.
    """
    result = require_issued(result)
    if isinstance(result, Refusal):
        raise InvalidGrant(result.detail)
    return show_tokens(result)
