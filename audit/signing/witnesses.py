"""Witnesses: others who check that each checkpoint extends the one before, and sign it (C2SP tlog-witness).

Threads beside the sequencer ask them, one thread per witness. So neither decisions nor the log nor another witness wait
for one. A log that was rolled back or forked gets no more cosignatures.
"""

import asyncio
import logging
import re
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cache
from typing import NamedTuple

import httpx
from django.db import Error, connection
from django.db.models import Max

from audit.models import Checkpoint, Cosignature, WitnessFailure
from audit.proof.proofs import Tree
from audit.signing import checkpoints
from audit.signing.notes import CosignatureLine, NoteBroken, split_verifier_key
from core import clock

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
# The total time for a request, from the lookup of the address to the last byte.
DEADLINE_SECONDS = 10.0
# A witness that fails again and again is logged at most once in this time.
QUIET_SECONDS = 60.0
MAX_RESPONSE_BYTES = 16 * 1024
MAX_LINES = 8
MAX_NAME_LENGTH = 255
MAX_REASON_LENGTH = 500
SIZE = re.compile(rb"0|[1-9][0-9]{0,17}")


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


class WitnessSilent(WitnessRefused):
    """The witness has not answered, or with an error of its own."""


class Conflict(WitnessRefused):
    """The witness has signed a checkpoint of another size last."""

    def __init__(self, size: int) -> None:
        super().__init__(f"it has signed a checkpoint of size {size}")
        self.size = size


class Collector:
    """Collects the cosignatures of all witnesses."""

    def __init__(self, witnesses: Sequence[Witness]) -> None:
        self._submitters = [Submitter(witness, witnesses) for witness in witnesses]

    def run(self, stopped: threading.Event, is_active: threading.Event) -> None:
        """Ask again and again until `stopped` is set, while this process moves the journal (`is_active`)."""
        arguments = (stopped, is_active)
        threads = [
            threading.Thread(target=submitter.run, args=arguments, name="witness", daemon=True)
            for submitter in self._submitters
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Submitter:
    """Submits checkpoints to one witness and stores its cosignatures.

    A line in the name of another witness, whose key is known, is not stored.
    """

    def __init__(self, witness: Witness, witnesses: Collection[Witness] = ()) -> None:
        self._witness = witness
        self._names = {split_verifier_key(one.key)[0] for one in witnesses if one.key}
        self._reported = ""
        self._quiet_until = 0.0

    def run(self, stopped: threading.Event, is_active: threading.Event) -> None:
        """Submit until `stopped` is set, while this process moves the journal (`is_active`). No error ends this."""
        while not stopped.wait(INTERVAL_SECONDS):
            if is_active.is_set():
                self.submit()
        connection.close()

    def submit(self) -> None:
        """Submit the newest checkpoint, unless the witness has signed it. Log only the first of several failures."""
        try:
            self._submit()
        except Error as error:
            self._report("Witness %s is asked later: %s", str(error).split("\n", 1)[0])
            with suppress(Error):
                connection.close()  # it may be broken
        except (WitnessRefused, httpx.HTTPError, ValueError) as error:
            reason = str(error) or type(error).__name__
            self._report("Witness %s does not sign: %s", reason)
            self._note(reason, is_refusal=not isinstance(error, WitnessSilent | httpx.HTTPError))
        except Exception as error:
            self._report("Witness %s failed: %s", repr(error), exc_info=True)
            self._note(repr(error), is_refusal=False)
        else:
            self._reported = ""
            self._note(None)

    def _note(self, reason: str | None, *, is_refusal: bool = False) -> None:
        """Store why the witness does not sign, or None if it does, for the health check and the doctor.

        The row is read each time, because another process can have asked meanwhile.
        """
        try:
            stored = WitnessFailure.objects.filter(witness=self._witness.url).first()
            if reason is not None:
                self._store_failure(stored, reason[:MAX_REASON_LENGTH], is_refusal)
            elif stored is not None:
                stored.delete()
        except Error as error:
            self._report("Witness %s is asked later: %s", str(error).split("\n", 1)[0])

    def _store_failure(self, stored: WitnessFailure | None, reason: str, is_refusal: bool) -> None:
        if stored is not None and (stored.reason, stored.is_refusal) == (reason, is_refusal):
            return
        since = stored.since if stored else clock.now()
        WitnessFailure(witness=self._witness.url, is_refusal=is_refusal, reason=reason, since=since).save()

    def _report(self, text: str, reason: str, *, exc_info: bool = False) -> None:
        now = time.monotonic()
        if text != self._reported and now >= self._quiet_until:
            logger.error(text, self._witness.url, reason, exc_info=exc_info)
            self._reported, self._quiet_until = text, now + QUIET_SECONDS

    def _submit(self) -> None:
        url = self._witness.url
        known = Cosignature.objects.filter(witness=url).aggregate(size=Max("size"))["size"] or 0
        checkpoint = checkpoints.latest()
        if checkpoint is None or known == checkpoint.size:
            return
        try:
            lines = self._send(checkpoint, known)
        except Conflict as conflict:
            # It is the checkpoint's own size if an answer was lost.
            if conflict.size == known or conflict.size > checkpoint.size:
                raise
            lines = self._send(checkpoint, conflict.size)
        Cosignature.objects.bulk_create(
            [Cosignature(size=checkpoint.size, witness=url, line="\n".join(lines))], ignore_conflicts=True
        )

    def _send(self, checkpoint: Checkpoint, old: int) -> list[str]:
        """Return the signature lines. Raises `Conflict`, `WitnessRefused` or `httpx.HTTPError`."""
        proof = Tree(checkpoint.size).consistency_proof(old)
        lines = [f"old {old}", *(b64encode(one).decode() for one in proof), "", checkpoint.note]
        try:
            status, body = asyncio.run(_post(f"{self._witness.url}/add-checkpoint", "\n".join(lines).encode()))
        except TimeoutError:
            raise WitnessSilent(f"it has not answered within {DEADLINE_SECONDS:g} seconds") from None
        if status == httpx.codes.CONFLICT and SIZE.fullmatch(body.strip()):
            raise Conflict(int(body))
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise WitnessSilent(f"HTTP status {status}")
        if status != httpx.codes.OK:
            raise WitnessRefused(f"HTTP status {status}")
        accepted = [line for line in body.decode().split("\n")[:MAX_LINES] if self._accepts(line, checkpoint.note)]
        if not accepted:
            raise WitnessRefused("no signature in its answer verifies")
        return accepted

    def _accepts(self, line: str, note: str) -> bool:
        """Return whether verifiers can read the note with this line, and the line verifies if its key is known."""
        try:
            parsed = CosignatureLine.parse(line)
        except NoteBroken:
            return False
        log = note.partition("\n")[0]
        if parsed.name == log or len(parsed.name) > MAX_NAME_LENGTH:
            return False
        if self._witness.key:
            return parsed.verifies(note, self._witness.key)
        return parsed.name not in self._names


async def _post(url: str, content: bytes) -> tuple[int, bytes]:
    """Return the status and the body. Raises `TimeoutError` after `DEADLINE_SECONDS`.

    httpx has timeouts only per read, so a witness that sends a byte now and then would never reach one. Each request
    has a client of its own, so a witness cannot fill a cookie jar.
    """
    headers = {"Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        httpx.AsyncClient(verify=_tls(), timeout=None) as client,  # noqa: S113
        client.stream("POST", url, content=content, headers=headers) as response,
    ):
        body = b""
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_RESPONSE_BYTES:
                raise WitnessRefused("its answer is too long")
        return response.status_code, body


@cache
def _tls() -> ssl.SSLContext:
    """Return what verifies certificates. Reading them takes longer than a request."""
    return httpx.create_ssl_context()
