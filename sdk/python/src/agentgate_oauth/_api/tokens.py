"""Asking for consent, and exchanging, refreshing, verifying and revoking tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._base import basic_credential
from .._call import Call, Credential, create, given
from .._checks import listed
from .._decode import reader
from ..errors import UnexpectedResponseError
from ..models import Decision, Introspection, PendingConsent, Tokens

_read_decision = reader(Decision)


class ClientCredential:
    """An agent's client id and secret, for a request's body. A public client has no secret."""

    def __init__(self, client_id: str, client_secret: str | None) -> None:
        self.client_id = client_id
        self._client_secret = client_secret

    def basic(self) -> Credential:
        """Return the credential as HTTP Basic, for requests without a body."""
        return basic_credential(self.client_id, self._client_secret or "")

    def body(self, **fields: object) -> dict[str, object]:
        return given(client_id=self.client_id, client_secret=self._client_secret, **fields)


def initiate_consent(credential: ClientCredential, **fields: object) -> Call[PendingConsent]:
    # Without the optional credentials, the consent page attributes `reason` to the link's sender.
    return create("/consent/initiate", reader(PendingConsent), credential.body(**fields))


def exchange_code(credential: ClientCredential, **fields: object) -> Call[Tokens]:
    # Safe to repeat: the client cannot use the tokens of a lost response anyway.
    return create("/tokens/exchange", reader(Tokens), credential.body(**fields))


def refresh_tokens(credential: ClientCredential, refresh_token: str, idempotency_key: str) -> Call[Tokens]:
    body = credential.body(refresh_token=refresh_token)
    return create("/tokens/refresh", reader(Tokens), body, idempotency_key)


def revoke_token(token: str) -> Call[None]:
    # Revoking is idempotent, so the call may be repeated.
    return Call("POST", "/tokens/revoke", lambda _: None, json={"token": token}, replayable=True)


def introspect_token(token: str) -> Call[Introspection]:
    # OAuth's names are already in snake_case.
    parse = reader(Introspection, naming=str)
    return Call("POST", "/oauth/introspect", parse, form={"token": token}, replayable=True)


def verify_token(
    token: str,
    scopes: Sequence[str],
    action: str | None,
    resource: str | None,
    context: Mapping[str, Any] | None,
    options: Mapping[str, object] | None = None,
    idempotency_key: str | None = None,
) -> Call[Decision]:
    """Return the call; `options` are further fields of the request, without those that are None.

    A request that reserves has a key: repeated with the same key, it reserves nothing more.
    """
    body = {**question(token, scopes, action, resource, context), **given(**(options or {}))}
    if idempotency_key:
        return create("/tokens/verify", read_decision, body, idempotency_key)
    # Not replayable: every decision counts against rate limits and is logged.
    return Call("POST", "/tokens/verify", read_decision, json=body)


def read_decision(document: Any) -> Decision:
    """Return the decision. Raises UnexpectedResponseError, also if it allows beside a denial."""
    decision = _read_decision(document)
    if decision.allowed and (decision.reason is not None or decision.policy or decision.missing_scopes):
        raise UnexpectedResponseError("Decision.allowed is true beside the reason of a denial")
    return decision


def question(
    token: str,
    scopes: Sequence[str],
    action: str | None = None,
    resource: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, object]:
    """Return one verify request, for `AgentGateVerifier.verify_batch`."""
    return given(
        token=token,
        required_scopes=listed("scopes", scopes, "scopes"),
        action=action,
        resource=resource,
        context=None if context is None else dict(context),
    )
