"""Handing work from one agent to another, and ending that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from .._base import Api
from .._call import Call, create, get, given, segment
from .._checks import listed, seconds_of
from .._decode import reader
from .._effects import Flow
from .._endpoint import endpoint, paged
from .._lists import page_of
from ..models import Delegation, NewDelegation, Page, Tokens
from .policies import AnyRule, rules_as_json
from .tokens import ClientCredential, exchange_code


def wanted(
    *,
    to: str,
    scopes: Sequence[str],
    targets: Sequence[Mapping[str, Any]] | None,
    limits: Mapping[str, Sequence[AnyRule]] | None,
    expires_in: timedelta | None,
    max_depth: int | None,
    task: str | None,
) -> dict[str, object]:
    """Return what is handed over, as a body. Raises TypeError and ValueError."""
    return given(
        to=to,
        scopes=listed("scopes", scopes, "scopes"),
        targets=None if targets is None else [dict(one) for one in listed("targets", targets, "targets")],
        limits=None if limits is None else {scope: rules_as_json(rules) for scope, rules in limits.items()},
        expires_in_seconds=seconds_of(expires_in),
        max_depth=max_depth,
        task=task,
    )


def create_delegation(
    credential: ClientCredential, token: str, body: Mapping[str, object]
) -> Call[NewDelegation]:
    return create("/delegations", reader(NewDelegation), credential.body(token=token, **body))


def redeem_delegation(credential: ClientCredential, token: str) -> Call[Tokens]:
    return exchange_code(credential, delegation_token=token)


def end_delegation(delegation_id: str, body: object) -> Call[Delegation]:
    # Ending it twice changes nothing.
    path = f"/delegations/{segment(delegation_id)}/end"
    return Call("POST", path, reader(Delegation), json=body, replayable=True)


class DelegationsApi(Api):
    @endpoint
    def list_delegations(
        self,
        *,
        agent_id: str | None = None,
        direction: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[Delegation]]:
        """Return one page of what the organization's agents handed over and received, newest first.

        `direction` is "given" or "received", `status` "active" or "ended". They are a tree by `parent_id`.
        """
        return self._call(
            get(
                "/delegations",
                page_of(Delegation),
                agent_id=agent_id,
                direction=direction,
                status=status,
                limit=limit,
                cursor=cursor,
            )
        )

    iter_delegations = paged(list_delegations)

    @endpoint
    def end_delegation(self, delegation_id: str) -> Flow[Delegation]:
        """End what one of the organization's agents handed over, and all below it, at once.

        Raises NotFoundError.
        """
        return self._call(end_delegation(delegation_id, {}))
