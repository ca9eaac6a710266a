"""Signed notes and verifier keys, as in C2SP signed-note."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .encoding import decode_base64, encode_base64
from .errors import Broken, Unusable, quote

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_SIGNATURES = 64
_KINDS = {ED25519: "a log's key (Ed25519)", COSIGNATURE: "a witness's key (cosignature/v1)"}
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name of its owner."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The first 4 bytes of a hash: a short name for the key, which another key can share."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signature:
    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"\u2014 {self.name} {encode_base64(self.key_id + self.value)}\n"


@dataclass(frozen=True)
class Note:
    text: str
    signatures: tuple[Signature, ...]

    def signatures_by(self, key: VerifierKey) -> list[bytes]:
        """Return the signatures that claim to be by `key`. Others are not looked at."""
        return [
            signature.value for signature in self.signatures if (signature.name, signature.key_id) == (key.name, key.id)
        ]


def parse_key(text: str, kind: int) -> VerifierKey:
    """Return the key of this kind that a verifier key string holds. Raises `Unusable`."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not is_key_name(parts[0]):
        raise Unusable(f"not a verifier key, which looks like NAME+ID+KEY: {quote(text)}")
    try:
        data = decode_base64(parts[2], "the key")
    except Broken as error:
        raise Unusable(f"not a verifier key: {error}") from None
    if len(data) != 33 or data[0] not in _KINDS:
        raise Unusable("not an Ed25519 verifier key")
    if data[0] != kind:
        raise Unusable(f"this is {_KINDS[data[0]]}, and not {_KINDS[kind]}: {quote(parts[0])}")
    key = VerifierKey(parts[0], data[0], data[1:])
    if key.id.hex() != parts[1]:
        raise Unusable("the verifier key's ID does not match its key: it was not copied completely")
    return key


def parse_note(text: str) -> Note:
    """Return the text and signatures of a signed note. Nothing is verified yet. Raises `Broken`."""
    body, separator, rest = text.rpartition("\n\n")
    if not separator or not rest.endswith("\n"):
        raise Broken("is not a signed note")
    if _CONTROL.search(text):
        raise Broken("is a note with control characters")
    lines = rest[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Broken(f"has more than {MAX_SIGNATURES} signatures")
    return Note(body + "\n", tuple(map(_parse_signature, lines)))


def verify_note(note: Note, key: VerifierKey) -> None:
    """Check that the key signed the text. Raises `Broken`."""
    found = note.signatures_by(key)
    if not found:
        raise Broken(f"is not signed by {key.name} with key {key.id.hex()}")
    if not all(key.verifies(note.text.encode(), value) for value in found):
        raise Broken(f"has a false signature in the name of {key.name}")


def is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(map(str.isspace, name)) and not _CONTROL.search(name)


def _parse_signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "\u2014" or not is_key_name(name):
        raise Broken("has a line that is not a signature")
    data = decode_base64(encoded, "a signature")
    if len(data) < 5:
        raise Broken("has a signature that is too short")
    return Signature(name, data[:4], data[4:])
