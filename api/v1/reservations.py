"""Commit and void reservations."""

from api.endpoint import Endpoint
from api.operations import operation
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.reservations import CommitBody, ReservationOut, show_reservation
from core.errors import NotAuthenticated
from core.http import BASIC_CHALLENGE, read_basic
from core.idempotency import Answer
from decisions.callers import anonymous_hit, count_questions, require_anonymous_allowed
from limits.reservations import ReservationExpired, ReservationResolved, commit_reservation, void_reservation
from resources.authentication import authenticate_resource_server

ERRORS = (NotAuthenticated, ReservationResolved, ReservationExpired)
DESCRIPTION = (
    "For the resource server that reserved, which authenticates as for verify. A reservation of a caller without a "
    "credential belongs to those who know its id. The same request again gets the same answer for at least 7 days. "
)


class ReservationEndpoint(Endpoint):
    """An endpoint for the service that reserved. It may be suspended: it tells what it did before."""

    challenge = BASIC_CHALLENGE
    server_id: str | None = None

    def identify(self) -> None:
        basic = read_basic(self.request.headers)
        if basic is None:
            require_anonymous_allowed()
            count_questions(anonymous_hit(self.actor, 1))
            return
        server = authenticate_resource_server(actor=self.actor, server_id=basic.name, secret=basic.secret)
        self.server_id = server.id
        self.actor = self.actor.acting_as("service", server.id)


class Commit(ReservationEndpoint):
    @operation(
        "commitReservation",
        "Commit a reservation",
        description=DESCRIPTION + "Counts `amount`, which is at most the reserved one, from now on, and releases the "
        "rest. Without `amount`, all of it counts.",
        answer=ReservationOut,
        errors=ERRORS,
        repeatable=True,
        request_example={"amount": {"value": "12.50", "currency": "EUR"}},
    )
    def post(self, reservation_id: str, body: CommitBody) -> Answer:
        def work() -> ReservationOut:
            committed = commit_reservation(
                actor=self.actor,
                reservation_id=reservation_id,
                final_amount=body.final_amount,
                server_id=self.server_id,
            )
            return show_reservation(committed)

        return self.answer_once(self.server_id or "", work)


class Void(ReservationEndpoint):
    @operation(
        "voidReservation",
        "Void a reservation",
        description=DESCRIPTION + "Releases the amount: nothing was spent.",
        answer=ReservationOut,
        errors=ERRORS,
        repeatable=True,
    )
    def post(self, reservation_id: str, body: EmptyBody) -> Answer:
        def work() -> ReservationOut:
            voided = void_reservation(actor=self.actor, reservation_id=reservation_id, server_id=self.server_id)
            return show_reservation(voided)

        return self.answer_once(self.server_id or "", work)
