"""The log's own key pair (Ed25519), which signs checkpoints and receipts. It is made when it is first needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings

from audit.models import LogKey
from audit.signing import notes
from audit.signing.notes import NoteBroken, Statement, open_checkpoint
from core import clock, crypto

PURPOSE = "log-key"
PATH = "/api/v1/audit"

# The event loop cannot read the database. A process has one `JWT_SECRET`, so it has one key.
_memory: dict[str, "Signer"] = {}


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """The key pair with the name under which it signs."""

    origin: str
    public: bytes
    private: Ed25519PrivateKey

    @property
    def key_id(self) -> bytes:
        return notes.key_id(self.origin, self.public)

    @property
    def verifier_key(self) -> str:
        return notes.verifier_key(self.origin, self.public)

    def sign_note(self, text: str) -> str:
        return notes.sign_note(text, self.origin, self.public, self.private)


def signer() -> Signer:
    """Return the key that signs. Its origin is the address of the log when the key was made.

    A changed `JWT_SECRET` does not open the former key, so another one signs then.
    """
    row = LogKey.objects.filter(pk=crypto.secret_id()).first() or _create()
    return _open(row.origin, bytes(row.public), bytes(row.private_sealed))


def stored_keys() -> list[LogKey]:
    """Return all keys of the log, oldest first. Checkpoints that a former key signed remain valid."""
    return list(LogKey.objects.order_by("created_at"))


def opens(row: LogKey) -> bool:
    """Return whether this `JWT_SECRET` opens the private key."""
    try:
        crypto.open_sealed(PURPOSE, row.private_sealed)
    except crypto.SealBroken:
        return False
    return True


def open_with_any(note: str, keys: Sequence[LogKey]) -> tuple[LogKey, Statement]:
    """Return which of the log's keys signed a checkpoint, and what it says. Raises `NoteBroken`."""
    broken = NoteBroken("The log has no key.")
    for key in keys:
        try:
            return key, open_checkpoint(note, key.origin, bytes(key.public))
        except NoteBroken as error:
            broken = error
    raise broken


def load() -> Signer:
    """Return the key like `signer`, and keep it in memory for `loaded`."""
    found = _memory.get(PURPOSE)
    if found is None:
        found = _memory[PURPOSE] = signer()
    return found


def loaded() -> Signer | None:
    """Return the key that this process has loaded, or None. It needs no database."""
    return _memory.get(PURPOSE)


def forget() -> None:
    """Forget the loaded key. For tests."""
    _memory.clear()


def _create() -> LogKey:
    private = Ed25519PrivateKey.generate()
    raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    fields = {
        "public": private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
        "private_sealed": crypto.seal(PURPOSE, raw),
        "created_at": clock.now(),
    }
    # Another process may create it first.
    secret_id = crypto.secret_id()
    LogKey.objects.bulk_create([LogKey(secret_id=secret_id, origin=_origin(), **fields)], ignore_conflicts=True)
    return LogKey.objects.get(pk=secret_id)


def _origin() -> str:
    parts = urlsplit(settings.API_URL)
    return f"{parts.netloc}{parts.path.rstrip('/')}{PATH}"


@lru_cache(maxsize=4)
def _open(origin: str, public: bytes, sealed: bytes) -> Signer:
    return Signer(origin, public, Ed25519PrivateKey.from_private_bytes(crypto.open_sealed(PURPOSE, sealed)))
