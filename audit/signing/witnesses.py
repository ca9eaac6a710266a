"""Witnesses: others who check that each checkpoint extends the one before, and sign it (C2SP tlog-witness).

A thread beside the sequencer asks them, so neither decisions nor the log wait for a witness. A log that was rolled back
or forked gets no more cosignatures.
"""

import logging
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import NamedTuple

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import Error, connection
from django.db.models import Max

from audit.models import Checkpoint, Cosignature
from audit.proof.proofs import Tree
from audit.signing import checkpoints
from audit.signing.log_keys import signer
from audit.signing.notes import cosigned_message, split_verifier_key

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
MAX_RESPONSE_BYTES = 16 * 1024
MAX_LINES = 8
SIZE = re.compile(rb"0|[1-9][0-9]{0,17}")
LINE = re.compile(r"— (?P<name>[^ +\n]{1,255}) (?P<signature>[A-Za-z0-9+/]{88,1024}={0,2})")


class Witness(NamedTuple):
    """Where a witness takes checkpoints and, if it is configured, its verifier key."""

    url: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Witness":
        """Read `https://witness.example/prefix` or the same with `#` and the verifier key."""
        url, _, key = text.partition("#")
        return cls(url.rstrip("/"), key)


class WitnessRefused(Exception):
    """The witness does not sign, or its answer cannot be used."""


class Conflict(WitnessRefused):
    """The witness has signed a checkpoint of another size last."""

    def __init__(self, size: int) -> None:
        super().__init__(f"it has signed a checkpoint of size {size}")
        self.size = size


class Collector:
    """Asks all witnesses about the newest checkpoint."""

    def __init__(self, witnesses: Sequence[Witness]) -> None:
        self._witnesses = witnesses
        self._failing: set[Witness] = set()
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)

    def run(self, stopped: threading.Event, is_active: threading.Event) -> None:
        """Ask again and again until `stopped` is set, while this process moves the journal (`is_active`)."""
        while not stopped.wait(INTERVAL_SECONDS):
            try:
                if is_active.is_set():
                    self.collect()
            except Error as error:
                logger.warning("The witnesses are asked later: %s", str(error).split("\n", 1)[0])
                connection.close()
        self._client.close()
        connection.close()

    def collect(self) -> None:
        """Ask each witness that has not signed the newest checkpoint yet. Log only the first of its failures."""
        checkpoint = checkpoints.latest()
        if checkpoint is None:
            return
        for witness in self._witnesses:
            try:
                self._ask(witness, checkpoint)
            except (WitnessRefused, httpx.HTTPError, ValueError) as error:
                if witness not in self._failing:
                    logger.error("Witness %s does not sign: %s", witness.url, error)
                self._failing.add(witness)
            else:
                self._failing.discard(witness)

    def _ask(self, witness: Witness, checkpoint: Checkpoint) -> None:
        known = Cosignature.objects.filter(witness=witness.url).aggregate(size=Max("size"))["size"] or 0
        if known == checkpoint.size:
            return
        try:
            lines = self._send(witness, checkpoint, known)
        except Conflict as conflict:
            if conflict.size in (known, checkpoint.size) or conflict.size > checkpoint.size:
                raise
            lines = self._send(witness, checkpoint, conflict.size)
        Cosignature.objects.bulk_create(
            [Cosignature(size=checkpoint.size, witness=witness.url, line="\n".join(lines))], ignore_conflicts=True
        )

    def _send(self, witness: Witness, checkpoint: Checkpoint, old: int) -> list[str]:
        """Return the signature lines. Raises `Conflict`, `WitnessRefused` or `httpx.HTTPError`."""
        proof = Tree(checkpoint.size).consistency_proof(old)
        lines = [f"old {old}", *(b64encode(one).decode() for one in proof), "", checkpoint.note]
        with self._client.stream(
            "POST", f"{witness.url}/add-checkpoint", content="\n".join(lines).encode()
        ) as response:
            body = _read(response)
        if response.status_code == httpx.codes.CONFLICT and SIZE.fullmatch(body.strip()):
            raise Conflict(int(body))
        if response.status_code != httpx.codes.OK:
            raise WitnessRefused(f"HTTP status {response.status_code}")
        return _accepted(body.decode(), checkpoint.note, witness.key)


def _read(response: httpx.Response) -> bytes:
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            raise WitnessRefused("its answer is too long")
    return body


def _accepted(body: str, note: str, key: str) -> list[str]:
    """Return the lines of the witness, only those that verify if its key is known. Raises `WitnessRefused`."""
    found = [match for line in body.splitlines()[:MAX_LINES] if (match := LINE.fullmatch(line))]
    own = signer().origin
    lines = [match[0] for match in found if match["name"] != own and (not key or _verifies(match, note, key))]
    if not lines:
        raise WitnessRefused("no signature in its answer verifies")
    return lines


def _verifies(match: re.Match[str], note: str, key: str) -> bool:
    """Return whether this is a cosignature (C2SP tlog-cosignature) of the note's text under the key."""
    name, key_id, public = split_verifier_key(key)
    signature = b64decode(match["signature"])
    if match["name"] != name or signature[:4] != key_id or len(signature) != 4 + 8 + 64:
        return False
    try:
        message = cosigned_message(int.from_bytes(signature[4:12], "big"), note)
        Ed25519PublicKey.from_public_bytes(public).verify(signature[12:], message)
    except InvalidSignature:
        return False
    return True
