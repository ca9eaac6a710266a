"""Passkey ceremonies (WebAuthn Level 3): challenges, and what a browser returns for them.

A session holds one challenge at a time, for one purpose and five minutes, and loses it with the first answer. Every
ceremony requires user verification, because a passkey alone signs in.
"""

import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from fido2.server import Fido2Server
from fido2.utils import websafe_decode
from fido2.webauthn import (
    AttestedCredentialData,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts.authenticators import passkeys_of
from accounts.errors import PasskeyRefused
from accounts.models import User

ADD, SIGN_IN, SECOND_STEP, REAUTHENTICATE = "add", "sign-in", "second-step", "reauthenticate"
LIFETIME_SECONDS = 300
_KEY = "passkey_challenge"
_USER_ID = re.compile(r"usr_[0-9a-f]{1,60}")


class Assertion(NamedTuple):
    """A passkey that has signed a challenge."""

    passkey: Authenticator
    user: User
    challenge: str


def begin_registration(session: SessionBase, user: User) -> dict[str, Any]:
    """Return the options with which a browser creates a passkey that signs in without an address."""
    options, state = _server().register_begin(
        PublicKeyCredentialUserEntity(id=user.id.encode(), name=user.email, display_name=user.get_full_name()),
        credentials=[credential_of(row) for row in passkeys_of(user)],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    _keep(session, ADD, state, user)
    return dict(options)


def complete_registration(session: SessionBase, user: User, answer: Any) -> dict[str, Any]:
    """Return the new credential as it is stored. Raises `PasskeyRefused`."""
    state = _take(session, ADD, user)
    try:
        _server().register_complete(state, answer)
        parsed = dict(RegistrationResponse.from_dict(answer))
        response = {name: parsed["response"][name] for name in ("clientDataJSON", "attestationObject")}
    except Exception as error:  # the library raises many kinds of errors for malformed answers
        raise PasskeyRefused from error
    # Use nothing else from the answer: the browser could choose a text that PostgreSQL refuses.
    kept = {name: parsed[name] for name in ("id", "rawId")}
    return {**kept, "type": "public-key", "clientExtensionResults": {}, "response": response}


def begin_authentication(session: SessionBase, purpose: str, user: User | None = None) -> dict[str, Any]:
    """Return the options to sign a challenge with any passkey of this site, or with one of the user's."""
    credentials = [credential_of(row) for row in passkeys_of(user)] if user else []
    options, state = _server().authenticate_begin(credentials, user_verification=UserVerificationRequirement.REQUIRED)
    _keep(session, purpose, state, user)
    return dict(options)


def complete_authentication(session: SessionBase, purpose: str, answer: Any, user: User | None = None) -> Assertion:
    """Return the passkey that signed the challenge. Without `user`, the answer names its owner.

    Raises `PasskeyRefused`.
    """
    state = _take(session, purpose, user)
    owner = user or _owner_of(answer)
    rows = [(row, credential_of(row)) for row in passkeys_of(owner)]
    try:
        used = _server().authenticate_complete(state, [credential for _, credential in rows], answer)
    except Exception as error:  # for the same reason
        raise PasskeyRefused from error
    row = next(row for row, credential in rows if credential.credential_id == used.credential_id)
    return Assertion(row, owner, state["challenge"])


def credential_of(row: Authenticator) -> AttestedCredentialData:
    """Return the id and public key of a passkey."""
    credential: AttestedCredentialData = row.wrap().authenticator_data.credential_data
    return credential


def _server() -> Fido2Server:
    return Fido2Server(PublicKeyCredentialRpEntity(id=settings.HOSTNAME, name="AgentGate"), verify_origin=_is_ours)


def _is_ours(origin: str) -> bool:
    """Return whether a ceremony ran on this site. With http on a loopback host, the port may differ."""
    ours, theirs = urlsplit(settings.API_URL), urlsplit(origin)
    if settings.IS_HTTPS:
        return (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)
    return (theirs.scheme, theirs.hostname) == (ours.scheme, ours.hostname)


def _keep(session: SessionBase, purpose: str, state: Mapping[str, Any], user: User | None) -> None:
    kept = {"challenge": state["challenge"], "user_verification": UserVerificationRequirement.REQUIRED.value}
    session[_KEY] = {**kept, "purpose": purpose, "user": user and user.id, "until": time.time() + LIFETIME_SECONDS}


def _take(session: SessionBase, purpose: str, user: User | None) -> dict[str, Any]:
    """Return the session's challenge for this purpose and user, and forget it. Raises `PasskeyRefused`."""
    state: dict[str, Any] = session.pop(_KEY, None) or {}
    if (state.get("purpose"), state.get("user")) != (purpose, user and user.id) or time.time() > state["until"]:
        raise PasskeyRefused
    return state


def _owner_of(answer: Any) -> User:
    """Return the user that the passkey names. Anyone can name any user, so only the signature proves it."""
    try:
        user_id = websafe_decode(answer["response"]["userHandle"]).decode()
    except (ValueError, TypeError, KeyError) as error:
        raise PasskeyRefused from error
    user = User.objects.filter(pk=user_id).first() if _USER_ID.fullmatch(user_id) else None
    if user is None:
        raise PasskeyRefused
    return user
