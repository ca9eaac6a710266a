"""A passkey in software: what a browser returns for a challenge of this site (WebAuthn, ES256, without attestation)."""

import hashlib
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.test import Client
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData

from tests.constants import PASSWORD

ORIGIN, RP_ID = "http://localhost:8000", "localhost"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Passkey:
    """One credential. `is_verified` says whether its device has checked the person."""

    def __init__(self, *, origin: str = ORIGIN, is_verified: bool = True) -> None:
        self.key, self.id = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        self.origin, self.flags = origin, PRESENT | (VERIFIED if is_verified else 0)
        self.user_handle = ""

    def register(self, options: dict[str, Any]) -> str:
        """Return the answer to the options of a registration, as JSON."""
        self.user_handle = options["publicKey"]["user"]["id"]
        public_key = ES256.from_cryptography_key(self.key.public_key())
        credential = AttestedCredentialData.create(Aaguid.NONE, self.id, public_key)
        data = AuthenticatorData.create(_rp_hash(), self.flags | ATTESTED, 0, credential)
        made = AttestationObject.create("none", data, {})
        client_data = self._client_data("webauthn.create", options)
        return self._answer(clientDataJSON=client_data, attestationObject=bytes(made))

    def sign(self, options: dict[str, Any], **changed: str) -> str:
        """Return the answer to the options of a sign-in, as JSON. `changed` replaces parts of it."""
        data = AuthenticatorData.create(_rp_hash(), self.flags, 0)
        client_data = self._client_data("webauthn.get", options)
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        handle = {"userHandle": self.user_handle, **changed}
        return self._answer(handle, clientDataJSON=client_data, authenticatorData=data, signature=signature)

    def _client_data(self, kind: str, options: dict[str, Any]) -> bytes:
        content = {"type": kind, "challenge": options["publicKey"]["challenge"], "origin": self.origin}
        return json.dumps(content).encode()

    def _answer(self, more: dict[str, str] | None = None, **parts: bytes) -> str:
        response = {name: websafe_encode(part) for name, part in parts.items()}
        own_id = websafe_encode(self.id)
        response.update(more or {})
        return json.dumps(
            {"id": own_id, "rawId": own_id, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )


def begin(client: Client, purpose: str) -> dict[str, Any]:
    answer = client.post("/accounts/passkey/options/", {"purpose": purpose})
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def add_passkey(client: Client, name: str = "Laptop", **options: Any) -> Passkey:
    """Add a passkey on the pages. The client must have signed in recently."""
    passkey = Passkey(**options)
    credential = passkey.register(begin(client, "add"))
    answer = client.post("/account/security/passkeys/new", {"name": name, "credential": credential})
    assert answer.status_code == 303, answer.content.decode()
    return passkey


def sign_in_with(client: Client, passkey: Passkey, **form: str) -> Any:
    credential = passkey.sign(begin(client, "sign-in"))
    return client.post("/accounts/passkey/login/", {"credential": credential, **form})


def enter_password(email: str, client: Client | None = None, **form: str) -> Client:
    """Return a client that has entered the password, and so has signed in recently or waits for the second step."""
    client = client or Client()
    client.post("/accounts/login/", {"login": email, "password": PASSWORD, **form})
    return client


def _rp_hash() -> bytes:
    return hashlib.sha256(RP_ID.encode()).digest()
