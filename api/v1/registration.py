"""Registration of users and developers, and verification of their email addresses."""

from django.conf import settings

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
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.people import (
    VERIFICATION_REQUIRED,
    VERIFIED,
    ConfirmEmailBody,
    ConfirmRegistrationBody,
    NewDeveloperOut,
    NewUserOut,
    RegisterDeveloperBody,
    RegisterUserBody,
    VerificationRequiredOut,
    VerifiedOut,
)
from api.v1.users import OwnEndpoint
from core.errors import Throttled
from core.idempotency import Answer
from developers.services import confirm_developer, create_developer, find_registrant

Kind = PendingRegistration.Kind
WITH_VERIFICATION = (
    "If the server requires verified addresses (`REQUIRE_VERIFIED_EMAIL`), the response is 202 and the address gets an "
    "email with a code. Confirm it with `{path}` within 15 minutes to create the account. A taken address gets the "
    "same response, and an email that says so. If the server does not require verified addresses, a taken address is a "
    "409."
)
CONFIRMATION = {"email": "ada@example.com", "code": "7KQ2M-XX04Z"}


class RegistrationEndpoint(Endpoint):
    def start(self, kind: Kind, body: RegisterUserBody | RegisterDeveloperBody) -> Answer:
        """Email a code, or a notice if the address is taken. The work and the response are the same for both."""
        user = new_user(**dict(body))

        def work() -> VerificationRequiredOut:
            start_registration(actor=self.actor, kind=kind, user=user)
            return VERIFICATION_REQUIRED

        return self.answer_once(self.actor.ip or "", work)


class RegisterUser(RegistrationEndpoint):
    @operation(
        "registerUser",
        "Register a user",
        description=WITH_VERIFICATION.format(path="/users/register/confirm"),
        answer=NewUserOut,
        status=201,
        accepted=VerificationRequiredOut,
        errors=(EmailTaken, Throttled),
        repeatable=True,
        request_example={"email": "ada@example.com", "password": "correct-horse-battery", "name": "Ada"},
    )
    def post(self, body: RegisterUserBody) -> Answer:
        throttle_registration(self.actor)
        if settings.REQUIRE_VERIFIED_EMAIL:
            return self.start(Kind.USER, body)
        user = new_user(**dict(body))
        return self.answer_once(
            self.actor.ip or "", lambda: NewUserOut.model_validate(add_user(actor=self.actor, user=user))
        )


class RegisterDeveloper(RegistrationEndpoint):
    @operation(
        "registerDeveloper",
        "Register a developer and their organization",
        description=WITH_VERIFICATION.format(path="/developers/register/confirm")
        + " A user becomes a developer in the portal or, if the server does not require verified addresses, by "
        "registering here with the account's password.",
        answer=NewDeveloperOut,
        status=201,
        accepted=VerificationRequiredOut,
        errors=(EmailTaken, Throttled),
        repeatable=True,
        request_example={"name": "Acme AI", "email": "dev@acme.example", "password": "correct-horse-battery"},
    )
    def post(self, body: RegisterDeveloperBody) -> Answer:
        throttle_registration(self.actor)
        if settings.REQUIRE_VERIFIED_EMAIL:
            return self.start(Kind.DEVELOPER, body)
        registrant = find_registrant(actor=self.actor, **dict(body))

        def work() -> NewDeveloperOut:
            registered = create_developer(actor=self.actor, registrant=registrant, name=body.name)
            return NewDeveloperOut.model_validate(registered)

        return self.answer_once(self.actor.ip or "", work)


class ConfirmUser(Endpoint):
    @operation(
        "confirmUser",
        "Confirm the registration of a user",
        description="The registration email contains the code. It works once, within 15 minutes.",
        answer=NewUserOut,
        status=201,
        errors=(InvalidCode, EmailTaken, Throttled),
        repeatable=True,
        request_example=CONFIRMATION,
    )
    def post(self, body: ConfirmRegistrationBody) -> Answer:
        def work() -> NewUserOut:
            return NewUserOut.model_validate(confirm_registration(actor=self.actor, **dict(body)))

        with code_attempt(self.actor):
            return self.answer_once(self.actor.ip or "", work)


class ConfirmDeveloper(Endpoint):
    @operation(
        "confirmDeveloper",
        "Confirm the registration of a developer",
        description="The registration email contains the code. It works once, within 15 minutes.",
        answer=NewDeveloperOut,
        status=201,
        errors=(InvalidCode, EmailTaken, Throttled),
        repeatable=True,
        request_example=CONFIRMATION,
    )
    def post(self, body: ConfirmRegistrationBody) -> Answer:
        def work() -> NewDeveloperOut:
            return NewDeveloperOut.model_validate(confirm_developer(actor=self.actor, **dict(body)))

        with code_attempt(self.actor):
            return self.answer_once(self.actor.ip or "", work)


class VerifyEmail(OwnEndpoint):
    @operation(
        "verifyEmail",
        "Email a verification code to the user's address",
        description="For accounts whose address was never verified. If it is already verified, the response is 200.",
        answer=VerifiedOut,
        accepted=VerificationRequiredOut,
        errors=(Throttled,),
    )
    def post(self, user_id: str, body: EmptyBody) -> VerifiedOut | VerificationRequiredOut:
        throttle_registration(self.actor)
        if has_verified_address(self.user):
            return VERIFIED
        send_address_code(actor=self.actor, user=self.user, email=self.user.email)
        return VERIFICATION_REQUIRED


class ConfirmEmail(OwnEndpoint):
    @operation(
        "confirmEmail",
        "Verify the user's address with the emailed code",
        answer=VerifiedOut,
        errors=(InvalidCode, Throttled),
        request_example={"code": CONFIRMATION["code"]},
    )
    def post(self, user_id: str, body: ConfirmEmailBody) -> VerifiedOut:
        with code_attempt(self.actor):
            confirm_address(actor=self.actor, user=self.user, email=self.user.email, code=body.code)
        return VERIFIED
