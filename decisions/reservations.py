"""Reservations that a batch makes: rows for allowed requests whose amount is only held (`limits.reservations`)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from core.ids import new_unguessable_id
from core.money import Amount, read_amount
from decisions.judgement import Judgement
from decisions.stores.statements import Statement, Step, spell_time

PREFIX = "rsv"


def reserve(judgement: Judgement, now: datetime) -> None:
    """Give an allowed decision a reservation. Raises `ValueError` if its request has no amount that can be read."""
    _amount(judgement)
    lifetime = timedelta(seconds=judgement.question.request.reserve_seconds or 0)
    judgement.decision.reservation_id = new_unguessable_id(PREFIX)
    judgement.decision.reservation_expires_at = now + lifetime


def write_reservations(made: Iterable[tuple[Judgement, str]], now: datetime) -> Sequence[Step]:
    """Return the step that writes the reservations of a batch, given the ids of its entries. Usually there is none."""
    rows = [_row(judgement, audit_id, now) for judgement, audit_id in made if judgement.decision.reservation_id]
    return [Step(Statement.WRITE_RESERVATIONS, (orjson.dumps(rows).decode(),))] if rows else []


def _row(judgement: Judgement, audit_id: str, now: datetime) -> dict[str, Any]:
    decision, request, amount = judgement.decision, judgement.question.request, _amount(judgement)
    credential, repeat = request.credential, request.repeat
    return {
        "id": decision.reservation_id,
        "server_id": credential.server_id if credential else None,
        "audit_id": audit_id,
        "organization_id": judgement.organization_id,
        "service_organization_id": judgement.service_organization_id,
        "agent_id": decision.agent_id,
        "user_id": decision.user_id,
        "consent_id": decision.consent_id,
        "amount": amount.value,
        "currency": amount.currency,
        "holds": list(dict.fromkeys(judgement.holds)),
        "repeat_key": repeat.key if repeat else None,
        "repeat_place": repeat.place if repeat else None,
        "repeat_digest": repeat.digest if repeat else "",
        "created_at": spell_time(now),
        "expires_at": spell_time(decision.reservation_expires_at or now),
    }


def _amount(judgement: Judgement) -> Amount:
    amount = read_amount(judgement.question.request.context.get("amount"))
    if amount is None:
        raise ValueError("A request without an amount that can be read reserves nothing.")
    return amount
