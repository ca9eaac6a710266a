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
    raw = b64decode(encoded, validate=True)
    if not name or raw[:1] != COSIGNATURE or len(raw) != PUBLIC_BYTES + 1:
        raise ValueError("not the verifier key of a witness")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:KEY_ID_BYTES]
    if expected.hex() != key_id:
        raise ValueError("the key id does not belong to the key")
    return name, expected, raw[1:]


def cosigned_message(timestamp: int, note: str) -> bytes:
    """Return what a witness signs: the checkpoint with the time in seconds (C2SP tlog-cosignature)."""
    text = note.partition("\n\n")[0]
    return f"cosignature/v1\ntime {timestamp}\n{text}\n".encode()


class NoteBroken(ValueError):
    """The note is malformed, or not signed by this key."""


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
