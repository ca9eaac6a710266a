"""Request and response models for reservations."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.v1.schemas.base import Moment, Omittable, Out, RequestBody
from core.money import CURRENCIES, VALUE, Amount, read_value
from core.validation import invalid_value
from limits.models import Reservation


def _read_value(raw: Any) -> str:
    value = read_value(raw)
    if value is None:
        raise invalid_value('Must be a decimal number as text, such as "12.50", without a sign.')
    return value


def _check_currency(raw: Any) -> Any:
    if not (isinstance(raw, str) and raw in CURRENCIES):
        raise invalid_value("Must be a currency code of ISO 4217, such as EUR.")
    return raw


class AmountBody(RequestBody):
    """An amount of money."""

    value: Annotated[
        str, BeforeValidator(_read_value), WithJsonSchema({"type": "string", "pattern": f"^{VALUE.pattern}$"})
    ]
    currency: Annotated[str, Field(min_length=3, max_length=3), BeforeValidator(_check_currency)]


class CommitBody(RequestBody):
    """What was spent in the end, at most the reserved amount. Default: all of it."""

    amount: Omittable[AmountBody] = None

    @property
    def final_amount(self) -> Amount | None:
        return Amount(self.amount.value, self.amount.currency) if self.amount else None


class ReservationOut(Out):
    """A reservation. `finalAmount` is null unless it is committed."""

    id: str
    status: str
    amount: str
    final_amount: str | None
    currency: str
    expires_at: Moment
    resolved_at: Moment | None


def show_reservation(reservation: Reservation) -> ReservationOut:
    return ReservationOut(
        id=reservation.id,
        status=reservation.status,
        amount=reservation.amount,
        final_amount=reservation.final_amount or None,
        currency=reservation.currency,
        expires_at=reservation.expires_at,
        resolved_at=reservation.resolved_at,
    )
