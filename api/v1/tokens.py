"""Exchange, refresh, revoke, and verify: may this agent do this, for this person, now?"""

from django.conf import settings

from agents.errors import InvalidClient
from agents.models import Agent
from api.clients import CredentialsTwice, client_of, is_client_presented, resource_server_of
from api.endpoint import Endpoint
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
    show_decision,
    show_tokens,
)
from core.errors import DomainError, NotAuthenticated
from core.http import BASIC_CHALLENGE
from core.idempotency import Answer
from decisions.requests import Reason, VerifyRequest
from decisions.services import decide
from decisions.throttles import throttle_anonymous
from resources.models import ResourceServer
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens, Refusal
from tokens.refresh import refresh_tokens
from tokens.services import revoke_token

VERIFY_WORDS = (
    "Always 200 for a well-formed question, and logged before it is answered when the token is ours. `reason` is the "
    "first that applies of "
    + ", ".join(f"`{reason.value}`" for reason in Reason)
    + ". Callers without a credential are "
    "throttled by address (`THROTTLE_VERIFY`, each question of a batch counts); a resource server is not. Rules see "
    "the whole `context`; of one longer than 4096 bytes the log keeps the digest, the size and the beginning. "
    "The call is bound by the "
    "policies of the agent's organization and of the organization whose resource server asks or, asked anonymously, "
    "whose identifier `resource` names in any spelling; both find it in their logs. A token that is not meant for that "
    "resource server is `wrong_audience`."
)


class InvalidGrant(DomainError):
    """RFC 6749 section 5.2."""

    code = "invalid_grant"
    title = "The code or the refresh token is not valid"
    remedy = "Ask the user for consent again. A code works once, within 60 seconds; a refresh token works once."


class ClientEndpoint(Endpoint):
    """For an agent by its client credentials."""

    challenge = BASIC_CHALLENGE

    def client(self, body: ClientBody) -> Agent:
        """Return the agent that asks; from here on it is who acts."""
        agent = client_of(self.request, body, self.actor)
        self.actor = self.actor.acting_as("agent", agent.id)
        return agent


class Exchange(ClientEndpoint):
    @operation(
        "exchangeCode",
        "Redeem an authorization code",
        description="A code works once; using it again also ends what it had issued. A client that lost the answer "
        "repeats the request with the same `Idempotency-Key` within 60 seconds.",
        answer=TokensOut,
        errors=(InvalidGrant, InvalidClient, CredentialsTwice),
        repeatable=True,
    )
    def post(self, body: ExchangeBody) -> Answer:
        agent = self.client(body)

        def work() -> TokensOut:
            result = exchange_code(
                actor=self.actor,
                agent=agent,
                code=body.code,
                code_verifier=body.code_verifier,
                redirect_uri=body.redirect_uri,
            )
            return show_tokens(_issued(result))

        return self.answer_once(agent.client_id, work, lifetime=settings.TOKEN_ANSWER_LIFETIME)


class Refresh(ClientEndpoint):
    @operation(
        "refreshTokens",
        "Rotate a refresh token",
        description="A refresh token works once; using it again ends its whole family. A client that lost the answer "
        "repeats the request with the same `Idempotency-Key` within 60 seconds.",
        answer=TokensOut,
        errors=(InvalidGrant, InvalidClient, CredentialsTwice),
        repeatable=True,
    )
    def post(self, body: RefreshBody) -> Answer:
        agent = self.client(body)

        def work() -> TokensOut:
            result = refresh_tokens(actor=self.actor, agent=agent, refresh_token=body.refresh_token)
            return show_tokens(_issued(result))

        return self.answer_once(agent.client_id, work, lifetime=settings.TOKEN_ANSWER_LIFETIME)


class Revoke(ClientEndpoint):
    @operation(
        "revokeToken",
        "End a token and its whole family",
        description="Answers the same for an unknown token. With client credentials only that client's tokens end.",
        answer=RevokedTokenOut,
        errors=(InvalidClient, CredentialsTwice),
        request_example={"token": "eyJhbGciOi..."},
    )
    def post(self, body: RevokeBody) -> RevokedTokenOut:
        agent = self.client(body) if is_client_presented(self.request, body) else None
        revoke_token(actor=self.actor, token=body.token, agent=agent)
        return RevokedTokenOut(revoked=True)


class DecisionEndpoint(Endpoint):
    """For whoever must decide; a resource server by its credential."""

    challenge = BASIC_CHALLENGE

    def asking(self, questions: int = 1) -> ResourceServer | None:
        """Return the resource server that asks, None for an anonymous caller.

        Raises `NotAuthenticated`, and `Throttled` for an anonymous caller with too many questions.
        """
        server = resource_server_of(self.request, self.actor)
        if server is None and settings.VERIFY_REQUIRES_CREDENTIAL:
            raise NotAuthenticated("Authenticate as a resource server: send res_...:rs_... as HTTP Basic.")
        if server is None:
            throttle_anonymous(actor=self.actor, questions=questions)
        return server

    def question(self, body: VerifyRequestBody, server: ResourceServer | None) -> VerifyRequest:
        return VerifyRequest(actor=self.actor, resource_server=server, **dict(body))


class Verify(DecisionEndpoint):
    @operation(
        "verifyToken",
        "May this agent do this, for this person, now?",
        description=VERIFY_WORDS,
        answer=DecisionOut,
        errors=(NotAuthenticated,),
        request_example={
            "token": "eyJhbGciOi...",
            "requiredScopes": ["email:send"],
            "context": {"ip": "203.0.113.7"},
        },
    )
    def post(self, body: VerifyRequestBody) -> DecisionOut:
        (decision,) = decide([self.question(body, self.asking())])
        return show_decision(decision)


class VerifyBatch(DecisionEndpoint):
    @operation(
        "verifyTokens",
        "Decide up to 100 questions at once",
        description="Decisions come in the order of the questions; a malformed one is a 400 that names its index.",
        answer=DecisionsOut,
        errors=(NotAuthenticated,),
    )
    def post(self, body: VerifyBatchBody) -> DecisionsOut:
        server = self.asking(len(body.requests))
        decisions = decide([self.question(each, server) for each in body.requests])
        return DecisionsOut(decisions=[show_decision(decision) for decision in decisions])


def _issued(result: IssuedTokens | Refusal) -> IssuedTokens:
    """Return the tokens. Raises `InvalidGrant` once the service has committed, so what a replay ended stays so."""
    if isinstance(result, Refusal):
        raise InvalidGrant(result.detail)
    return result
