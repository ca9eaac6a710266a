"""What the log shows as evidence: checkpoints and tiles to anyone, proofs and exports to the readers of the entries."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse

from accounts.errors import ReauthenticationRequired
from accounts.recent import require_recent_sign_in
from api.endpoint import AnyCredentialEndpoint, DeveloperEndpoint, Endpoint
from api.operations import operation
from api.v1.schemas.evidence import ExportQuery, ProofOut
from api.v1.users import OwnEndpoint
from audit.entries.drafts import Draft
from audit.events import Event
from audit.proof.evidence import NOTHING, FindVisible
from audit.proof.exports import NotCovered, Period, begin_export
from audit.proof.members import CONNECTION, ORGANIZATION, PERSON, Stream
from audit.proof.proofs import NotSequenced, Tree, prove_entry
from audit.readers.disclosure import visible_to_organization, visible_to_user
from audit.readers.reading import Visible
from audit.signing import checkpoints
from audit.signing.log_keys import signer
from consent.models import Consent
from consent.selectors import consent_for_user
from core.errors import NotFound, Throttled
from core.sending import Pieces, Place
from developers.acting import require_recent_session, while_permitted
from developers.roles import Right
from limits.throttle import Subject, Throttle

TILE = re.compile(r"(0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
MAX_LEVEL = 63
FULL_WIDTH = 256
JSON_LINES = "application/jsonl"
TEXT = "text/plain; charset=utf-8"
EXPORT_DESCRIPTION = (
    "JSON Lines (docs/evidence-formats.md), which `agentgate-audit verify` checks offline. The export is logged itself "
    "and ends with its own entry, so a missing entry shows. With `from` or `to`, it has the entries of that period and "
    "one neighbor on each side. If no checkpoint covers the export within 3 seconds, the response is a 503. "
    "A user or an organization may start 20 exports per hour. A session needs a sign-in within the last 5 minutes."
)


class PublicEndpoint(Endpoint):
    """What anyone may read and any cache may keep, because it contains only digests and signatures."""


class NewestCheckpoint(PublicEndpoint):
    cache_control = "public, max-age=1"

    @operation(
        "getCheckpoint",
        "Get the newest checkpoint of the log",
        description="A C2SP tlog-checkpoint with the cosignatures of witnesses. If witnesses are configured, it is the "
        "newest that any of them has signed or that has waited for 10 seconds, so it is never older than before. "
        "Before the first checkpoint, the response is a 404.",
        media_type="text/plain",
        errors=(NotFound,),
    )
    def get(self) -> HttpResponse:
        checkpoint = checkpoints.published()
        if checkpoint is None:
            raise NotFound("The log has no checkpoint yet.")
        return HttpResponse(checkpoints.with_cosignatures(checkpoint), content_type=TEXT)


class VerifierKey(PublicEndpoint):
    cache_control = "public, max-age=3600"

    @operation(
        "getLogKey",
        "Get the key that verifies checkpoints and receipts",
        description="A C2SP signed-note verifier key. Compare it with a copy from another source.",
        media_type="text/plain",
    )
    def get(self) -> HttpResponse:
        return HttpResponse(f"{signer().verifier_key}\n", content_type=TEXT)


class HashTile(PublicEndpoint):
    path_values = re.compile(r"[0-9x/.p]{1,128}")
    cache_control = "public, max-age=31536000, immutable"

    @operation(
        "getTile",
        "Get a tile of the log's Merkle tree",
        description="C2SP tlog-tiles, without entry bundles. The newest checkpoint covers all tiles that exist.",
        media_type="application/octet-stream",
    )
    def get(self, tile: str) -> HttpResponse:
        # A tile that no checkpoint covers could still change, after a power failure on SQLite. Caches must not have it.
        place = _read_tile(tile)
        hashes = Tree(checkpoints.size()).tile(*place) if place else None
        if hashes is None:
            raise NotFound("No such tile.")
        return HttpResponse(hashes, content_type="application/octet-stream")


class EntryProof(AnyCredentialEndpoint):
    @operation(
        "proveAuditEntry",
        "Prove that an entry is in the log",
        description="For users whose log has the entry, and developers whose organization's log has it. The response "
        "is a 409 until a checkpoint covers the entry, usually for less than a second.",
        answer=ProofOut,
        errors=(NotSequenced,),
    )
    def get(self, entry_id: str) -> ProofOut:
        with self.within_reach():
            proof = prove_entry(
                entry_id,
                user_id=self.user.id if self.user else None,
                organization_id=self.access.organization_id if self.access else None,
                agent_ids=self.access.agent_ids if self.access else None,
            )
        return ProofOut.model_validate(proof)


class OrganizationExport(DeveloperEndpoint):
    @operation(
        "exportAudit",
        "Export the organization's log as evidence",
        description=EXPORT_DESCRIPTION,
        media_type=JSON_LINES,
        errors=(NotCovered, ReauthenticationRequired, Throttled),
        right=Right.READ,
    )
    def get(self, query: ExportQuery) -> StreamingHttpResponse:
        require_recent_session(self.actor)
        organization_id = self.organization_id
        stream = Stream(ORGANIZATION, organization_id)
        draft = Draft(Event.AUDIT_EXPORTED, self.actor, organization_id=organization_id)

        def find_visible(content: Mapping[str, Any]) -> Visible:
            return visible_to_organization(content, organization_id)

        permitted = partial(while_permitted, self.actor, Right.READ)
        return _export(f"organization:{organization_id}", stream, query.period, draft, find_visible, permitted)


class PersonalExport(OwnEndpoint):
    """An export of what is about the user, who has just entered their password."""

    def export(self, stream: Stream, period: Period, consent: Consent | None = None) -> StreamingHttpResponse:
        require_recent_sign_in(self.signed_in_at)
        user_id = self.user.id

        def find_visible(content: Mapping[str, Any]) -> Visible:
            # A connection has entries from before its user was known.
            found = visible_to_user(content, user_id)
            return found if content["userId"] == user_id else NOTHING._replace(streams=found.streams)

        draft = Draft(Event.AUDIT_EXPORTED, self.actor, user_id=user_id)
        if consent:
            draft = draft._replace(consent_id=consent.id, agent_id=consent.agent_id)
        return _export(f"user:{user_id}", stream, period, draft, find_visible)


class OwnExport(PersonalExport):
    @operation(
        "exportUserAudit",
        "Export the user's own log as evidence",
        description=EXPORT_DESCRIPTION,
        media_type=JSON_LINES,
        errors=(NotCovered, ReauthenticationRequired, Throttled),
    )
    def get(self, user_id: str, query: ExportQuery) -> StreamingHttpResponse:
        return self.export(Stream(PERSON, self.user.id), query.period)


class ConnectionExport(PersonalExport):
    @operation(
        "exportConnection",
        "Export the log of one of the user's connections as evidence",
        description=EXPORT_DESCRIPTION,
        media_type=JSON_LINES,
        errors=(NotCovered, ReauthenticationRequired, Throttled),
    )
    def get(self, user_id: str, consent_id: str, query: ExportQuery) -> StreamingHttpResponse:
        consent = consent_for_user(self.user, consent_id)
        return self.export(Stream(CONNECTION, consent.id), query.period, consent)


def _export(
    account: str,
    stream: Stream,
    period: Period,
    draft: Draft,
    find_visible: FindVisible,
    permitted: Callable[[Iterator[bytes]], Iterator[bytes]] = iter,
) -> StreamingHttpResponse:
    """Send the export. `permitted` ends it when its reader may no longer have it."""
    place = Place(account)
    try:
        Throttle("export", settings.THROTTLE_EXPORT).hit(Subject(account))
        export = begin_export(stream=stream, period=period, draft=draft, find_visible=find_visible)
    except BaseException:
        place.close()
        raise
    name = f"agentgate-{stream.kind}-{export.created_at:%Y%m%dT%H%M%SZ}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(Pieces(place, permitted(export.pieces())), content_type=JSON_LINES, headers=headers)


def _read_tile(tile: str) -> tuple[int, int, int] | None:
    """Return the level, number and width in a tile's path, or None if it is not canonical."""
    found = TILE.fullmatch(tile)
    if found is None or found[2].startswith("x000/"):
        return None
    level, number, width = int(found[1]), int(re.sub("[x/]", "", found[2])), int(found[3] or FULL_WIDTH)
    is_possible = level <= MAX_LEVEL and (width < FULL_WIDTH or found[3] is None)
    return (level, number, width) if is_possible else None
