"""Signed notes and verifier keys (C2SP signed-note), and the checkpoints in them (C2SP tlog-checkpoint)."""

import hashlib
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
COSIGNATURE = b"\x04"
PUBLIC_BYTES = 32
KEY_ID_BYTES = 4
TIMESTAMP_BYTES = 8
SIGNATURE_BYTES = 64
# Verifiers refuse a note with more.
MAX_SIGNATURES = 64


class NoteBroken(ValueError):
    """The note is malformed, or not signed by this key."""


def key_id(origin: str, public: bytes) -> bytes:
    """Return the four bytes that name a key in signature lines."""
    return hashlib.sha256(origin.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]


def verifier_key(origin: str, public: bytes) -> str:
    """Return the key in the form that verifiers take."""
    return f"{origin}+{key_id(origin, public).hex()}+{b64encode(ED25519 + public).decode()}"


def checkpoint_text(origin: str, size: int, root: bytes, at: datetime) -> str:
    """Return the text that is signed. The time is an extension line."""
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{origin}\n{size}\n{b64encode(root).decode()}\ntime {time}\n"


def sign_note(text: str, origin: str, public: bytes, private: Ed25519PrivateKey) -> str:
    """Return the note: the text, an empty line and the signature line."""
    signature = key_id(origin, public) + private.sign(text.encode())
    return f"{text}\n— {origin} {b64encode(signature).decode()}\n"


def split_verifier_key(key: str) -> tuple[str, bytes, bytes]:
    """Return the name, the key id and the public key of a witness's verifier key. Raises `ValueError`."""
    name, _, rest = key.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = decode_base64(encoded)
    if not is_key_name(name) or raw[:1] != COSIGNATURE or len(raw) != PUBLIC_BYTES + 1:
        raise ValueError("not the verifier key of a witness")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:KEY_ID_BYTES]
    if expected.hex() != key_id:
        raise ValueError("the key id does not belong to the key")
    return name, expected, raw[1:]


def is_key_name(name: str) -> bool:
    """Return whether C2SP signed-note allows this name of a key."""
    return bool(name) and not any(one == "+" or one < " " or one.isspace() for one in name)


def decode_base64(text: str) -> bytes:
    """Return the bytes of Base64 in its only spelling, as verifiers require. Raises `NoteBroken`."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise NoteBroken("It is not Base64.") from None
    if b64encode(data).decode() != text:
        raise NoteBroken("It is not Base64 in its only spelling.")
    return data


class CosignatureLine(NamedTuple):
    """A signature line of a witness (C2SP tlog-cosignature)."""

    name: str
    key_id: bytes
    timestamp: int
    signature: bytes

    @classmethod
    def parse(cls, line: str) -> "CosignatureLine":
        """Read a line without its line break, as strictly as verifiers do. Raises `NoteBroken`."""
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "—" or not is_key_name(name):
            raise NoteBroken("It is not a signature line.")
        data = decode_base64(encoded)
        timestamp = int.from_bytes(data[KEY_ID_BYTES : KEY_ID_BYTES + TIMESTAMP_BYTES])
        if len(data) != KEY_ID_BYTES + TIMESTAMP_BYTES + SIGNATURE_BYTES or timestamp >= 2**63:
            raise NoteBroken("It is not a cosignature.")
        return cls(name, data[:KEY_ID_BYTES], timestamp, data[-SIGNATURE_BYTES:])

    def verifies(self, note: str, verifier_key: str) -> bool:
        """Return whether the owner of the verifier key has signed the checkpoint in the note."""
        name, key_id, public = split_verifier_key(verifier_key)
        if (self.name, self.key_id) != (name, key_id):
            return False
        text = note.partition("\n\n")[0]
        message = f"cosignature/v1\ntime {self.timestamp}\n{text}\n".encode()
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(self.signature, message)
        except InvalidSignature:
            return False
        return True


class Statement(NamedTuple):
    """What a checkpoint says of the tree."""

    size: int
    root: bytes


def open_checkpoint(note: str, origin: str, public: bytes) -> Statement:
    """Return what a signed checkpoint says. Raises `NoteBroken`. Cosignatures are not checked."""
    text, separator, signatures = note.partition("\n\n")
    text += "\n"
    lines = text.split("\n")
    wanted = f"— {origin} "
    try:
        (line,) = [line for line in signatures.splitlines() if line.startswith(wanted)]
        signature = b64decode(line.removeprefix(wanted), validate=True)
        if not separator or signature[:KEY_ID_BYTES] != key_id(origin, public):
            raise NoteBroken("It is signed by another key.")
        Ed25519PublicKey.from_public_bytes(public).verify(signature[KEY_ID_BYTES:], text.encode())
        if lines[0] != origin:
            raise NoteBroken("It is of another log.")
        return Statement(int(lines[1]), b64decode(lines[2], validate=True))
    except InvalidSignature as error:
        raise NoteBroken("Its signature is wrong.") from error
    except (ValueError, IndexError) as error:
        raise error if isinstance(error, NoteBroken) else NoteBroken("It is not a checkpoint.") from error
