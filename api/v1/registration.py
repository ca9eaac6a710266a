"""Registering people and developers, and proving their addresses."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.codes import code_attempt
from accounts.errors import EmailTaken, InvalidCode
from accounts.models import PendingRegistration
from accounts.registration import confirm_registration, start_registration
from accounts.selectors import has_verified_address
from accounts.services import add_user, new_user
from accounts.throttles import throttle_registration
from accounts.verification import confirm_address, send_address_code
from api.endpoint import Endpoint
from api.operations import operation
from api.v1.shapes.consent import EmptyBody
from api.v1.shapes.people import (
    AddressConfirmation,
    Confirmation,
    DeveloperRegistration,
    NewDeveloper,
    NewUser,
    UserRegistration,
    VerificationRequired,
    Verified,
)
from api.v1.users import OwnEndpoint
from core.errors import Throttled
from core.idempotency import Answer
from developers.services import confirm_developer, create_developer, find_registrant

Kind = PendingRegistration.Kind
VERIFICATION_REQUIRED = Answer(202, {"status": "verification_required"})
WITH_VERIFICATION = (
    "Where addresses must be proved (`REQUIRE_VERIFIED_EMAIL`) it answers 202 and mails a code that "
    "`{path}` takes within 15 minutes; no account exists before. A taken address gets the same answer and a notice "
    "by mail. Elsewhere a taken address is a 409."
)
CONFIRMATION = {"email": "ada@example.com", "code": "7KQ2M-XX04Z"}


class Registering(Endpoint):
    def start(self, kind: Kind, body: dict[str, Any]) -> Answer:
        """Mail a code to the address, or to a taken one a notice; answer the same after the same work."""
        user = new_user(**body)

        def work() -> Answer:
            start_registration(actor=self.actor, kind=kind, user=user)
            return VERIFICATION_REQUIRED

        return self.answer_once(self.actor.ip or "", work)


class RegisterUser(Registering):
    @operation(
        "registerUser",
        "Register a person",
        description=WITH_VERIFICATION.format(path="/users/register/confirm"),
        body=UserRegistration,
        answer=NewUser,
        status=201,
        accepted=VerificationRequired,
        errors=(EmailTaken, Throttled),
        repeatable=True,
        request_example={"email": "ada@example.com", "password": "correct-horse-battery", "name": "Ada"},
    )
    def post(self, request: Request) -> Answer:
        body = self.read(UserRegistration)
        throttle_registration(self.actor)
        if settings.REQUIRE_VERIFIED_EMAIL:
            return self.start(Kind.USER, body)
        user = new_user(**body)
        return self.answer_once(
            self.actor.ip or "", lambda: Answer(201, NewUser(add_user(actor=self.actor, user=user)).data)
        )


class RegisterDeveloper(Registering):
    @operation(
        "registerDeveloper",
        "Register a developer and their organization",
        description=WITH_VERIFICATION.format(path="/developers/register/confirm")
        + " A person who has an account becomes a developer in the portal, or here, where addresses need no proof, "
        "with the account's password.",
        body=DeveloperRegistration,
        answer=NewDeveloper,
        status=201,
        accepted=VerificationRequired,
        errors=(EmailTaken, Throttled),
        repeatable=True,
        request_example={"name": "Acme AI", "email": "dev@acme.example", "password": "correct-horse-battery"},
    )
    def post(self, request: Request) -> Answer:
        body = self.read(DeveloperRegistration)
        throttle_registration(self.actor)
        if settings.REQUIRE_VERIFIED_EMAIL:
            return self.start(Kind.DEVELOPER, body)
        registrant = find_registrant(actor=self.actor, **body)

        def work() -> Answer:
            registered = create_developer(actor=self.actor, registrant=registrant, name=body["name"])
            return Answer(201, NewDeveloper(registered).data)

        return self.answer_once(self.actor.ip or "", work)


class Confirming(Endpoint):
    def confirm(self, make: Callable[[dict[str, Any]], Any]) -> Answer:
        """Answer 201 with what `make` creates from the address and the code; count a wrong code."""
        body = self.read(Confirmation)

        def work() -> Answer:
            return Answer(201, make(body))

        with code_attempt(self.actor):
            return self.answer_once(self.actor.ip or "", work)


class ConfirmUser(Confirming):
    @operation(
        "confirmUser",
        "Prove the address of a registration",
        description="The code is in the mail that the registration sent. It works once, within 15 minutes.",
        body=Confirmation,
        answer=NewUser,
        status=201,
        errors=(InvalidCode, EmailTaken, Throttled),
        repeatable=True,
        request_example=CONFIRMATION,
    )
    def post(self, request: Request) -> Answer:
        return self.confirm(lambda body: NewUser(confirm_registration(actor=self.actor, **body)).data)


class ConfirmDeveloper(Confirming):
    @operation(
        "confirmDeveloper",
        "Prove the address of a developer's registration",
        description="The code is in the mail that the registration sent. It works once, within 15 minutes.",
        body=Confirmation,
        answer=NewDeveloper,
        status=201,
        errors=(InvalidCode, EmailTaken, Throttled),
        repeatable=True,
        request_example=CONFIRMATION,
    )
    def post(self, request: Request) -> Answer:
        return self.confirm(lambda body: NewDeveloper(confirm_developer(actor=self.actor, **body)).data)


class VerifyEmail(OwnEndpoint):
    @operation(
        "verifyEmail",
        "Mail a code to the person's own address",
        description="For an account whose address was never proved. Answers 200 when it is proved already.",
        body=EmptyBody,
        answer=Verified,
        accepted=VerificationRequired,
        errors=(Throttled,),
    )
    def post(self, request: Request, user_id: str) -> Response:
        self.read(EmptyBody)
        throttle_registration(self.actor)
        if has_verified_address(self.person):
            return Response({"status": "verified"})
        send_address_code(actor=self.actor, user=self.person, email=self.person.email)
        return Response(VERIFICATION_REQUIRED.body, status=VERIFICATION_REQUIRED.status)


class ConfirmEmail(OwnEndpoint):
    @operation(
        "confirmEmail",
        "Prove the person's own address with the mailed code",
        body=AddressConfirmation,
        answer=Verified,
        errors=(InvalidCode, Throttled),
        request_example={"code": CONFIRMATION["code"]},
    )
    def post(self, request: Request, user_id: str) -> Response:
        code = self.read(AddressConfirmation)["code"]
        with code_attempt(self.actor):
            confirm_address(actor=self.actor, user=self.person, email=self.person.email, code=code)
        return Response({"status": "verified"})
