"""Encryption at rest and keyed digests. Each purpose has its own key, derived from `JWT_SECRET` (RFC 5869)."""

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NONCE_BYTES = 12


class SealBroken(Exception):
    """The ciphertext is damaged, or was encrypted with another `JWT_SECRET` or purpose."""


def seal(purpose: str, plaintext: bytes) -> bytes:
    """Return `plaintext` encrypted and authenticated (AES-256-GCM), bound to `purpose`."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(purpose, settings.JWT_SECRET).encrypt(nonce, plaintext, purpose.encode())


def open_sealed(purpose: str, sealed: bytes | memoryview) -> bytes:
    """Return the plaintext of what `seal` returned. Raises `SealBroken`."""
    sealed = bytes(sealed)
    try:
        return _cipher(purpose, settings.JWT_SECRET).decrypt(
            sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode()
        )
    except (InvalidTag, ValueError) as error:
        raise SealBroken(purpose) from error


def seal_text(purpose: str, text: str) -> str:
    """Return what `seal` returns for `text`, in Base64, for sessions and other JSON."""
    return b64encode(seal(purpose, text.encode())).decode()


def open_sealed_text(purpose: str, sealed: str) -> str:
    """Return the text of what `seal_text` returned. Raises `SealBroken`."""
    return open_sealed(purpose, b64decode(sealed)).decode()


def keyed_digest(purpose: str, data: bytes) -> str:
    """Return HMAC-SHA-256 in hexadecimal, for data that could be guessed from a plain digest."""
    return hmac.new(_key(purpose, settings.JWT_SECRET), data, hashlib.sha256).hexdigest()


def secret_id() -> str:
    """Return 32 hexadecimal digits that tell this `JWT_SECRET` from others, without revealing it."""
    return keyed_digest("secret-id", b"")[:32]


@lru_cache(maxsize=64)  # threads may share it
def _cipher(purpose: str, secret: str) -> AESGCM:
    return AESGCM(_key(purpose, secret))


@lru_cache(maxsize=64)
def _key(purpose: str, secret: str) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=b"agentgate", info=purpose.encode())
    return hkdf.derive(secret.encode())
