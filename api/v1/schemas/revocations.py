"""What ended, for services that check tokens offline."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.v1.schemas.approvals import MAX_WAIT_SECONDS
from api.v1.schemas.base import Omittable, Out, Query
from events.revocations import Item, Revocations

MAX_INDEX = 2**63 - 1
# The claims of a token that name each subject, as members of an item.
IDS = {
    "family": "family_id",
    "consent": "consent_id",
    "agent": "client_id",
    "user": "user_id",
    "organization": "organization_id",
    "delegation": "delegation_id",
}


class RevocationsQuery(Query):
    """Where to continue, and how many seconds the response may wait for an item."""

    # Query parameters are strings.
    after: Omittable[int] = Field(None, ge=0, le=MAX_INDEX, strict=False, description="The `next` of the last answer.")
    wait: int = Field(0, ge=0, le=MAX_WAIT_SECONDS, strict=False)


class RevocationOut(Out):
    """What ended. Refuse the tokens that name it and were issued at `at` or before, up to 2 seconds after it."""

    kind: Literal["family", "consent", "scope", "agent", "user", "organization", "delegation"] = Field(
        description="`scope` ends single scopes of the tokens that name a consent or a client. All others end tokens."
    )
    family_id: str | None = Field(None, description="The claim `sid` of the tokens, or a `sid` within `act`.")
    consent_id: str | None = Field(None, description="The claim `consent_id` of the tokens.")
    client_id: str | None = Field(None, description="The claim `client_id` of the tokens, or a `sub` within `act`.")
    user_id: str | None = Field(None, description="The claim `sub` of the tokens.")
    organization_id: str | None = Field(None, description="The claim `org_id` of the tokens, or one within `act`.")
    delegation_id: str | None = Field(None, description="An id in the claim `delegations` of the tokens.")
    scopes: list[str] | None = Field(None, description="The scopes that the tokens no longer have.")
    at: datetime = Field(description="When its end had been stored. The act can be a moment earlier.")


class RevocationsOut(Out):
    """What ended, oldest first. An item can come twice."""

    items: list[RevocationOut]
    next: int = Field(description="Send it as `after`.")
    more: bool = Field(description="Whether there are more items now. Ask again at once.")


def show_revocations(found: Revocations) -> RevocationsOut:
    return RevocationsOut(items=[_show(item) for item in found.items], next=found.next, more=not found.is_complete)


def _show(item: Item) -> RevocationOut:
    scopes = {"scopes": list(item.scopes)} if item.scopes else {}
    return RevocationOut.model_validate({"kind": item.kind, IDS[item.named]: item.id, **scopes, "at": item.at})
