"""Login and logout, and rotation of the API key."""

from django.conf import settings

from accounts.errors import BadCredentials, SecondFactorRequired, WrongSecondFactor
from accounts.services import open_session
from accounts.session_ends import end_session
from api.authentication import SessionCredential
from api.endpoint import DeveloperEndpoint, UserEndpoint
from api.operations import operation
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.people import DeveloperSessionOut, LogInBody, RotatedApiKeyOut, RotationBody
from api.v1.users import SECOND_FACTOR, LogIn
from core.errors import Forbidden, Throttled
from core.idempotency import Answer
from developers.api_keys import rotate_api_key
from developers.errors import OrganizationSuspended
from developers.selectors import developer_for_user
from developers.services import require_organization


class LogInDeveloper(LogIn):
    @operation(
        "logInDeveloper",
        "Log in a developer for 12 hours",
        description=SECOND_FACTOR,
        answer=DeveloperSessionOut,
        errors=(
            BadCredentials,
            SecondFactorRequired,
            WrongSecondFactor,
            Forbidden,
            OrganizationSuspended,
            Throttled,
        ),
        repeatable=True,
        request_example={"email": "dev@acme.example", "password": "correct-horse-battery"},
    )
    def post(self, body: LogInBody) -> Answer:
        user = self.check(body)
        developer = developer_for_user(user)
        if developer is None:
            raise Forbidden("This account is not a developer account. Register as a developer first.")
        require_organization(developer.organization)

        def work() -> DeveloperSessionOut:
            opened = open_session(actor=self.actor, user=user)
            return DeveloperSessionOut(
                id=developer.id,
                name=developer.organization.name,
                email=user.email,
                session_token=opened.token,
                expires_at=opened.session.expires_at,
            )

        return self.answer_once(user.id, work, lifetime=settings.SESSION_TOKEN_LIFETIME)


class LogOut(UserEndpoint):
    """End the session of the request's own session token."""

    def log_out(self) -> None:
        credential = self.request.auth
        if not isinstance(credential, SessionCredential):
            raise Forbidden("Only a session token can be ended here. To end a browser session, sign out.")
        end_session(actor=self.actor, user=self.user, session_id=credential.session.id)


class LogOutDeveloper(LogOut):
    @operation("logOutDeveloper", "Log out a developer", status=204)
    def post(self, body: EmptyBody) -> None:
        self.log_out()


class LogOutUser(LogOut):
    @operation("logOutUser", "Log out a user", status=204)
    def post(self, body: EmptyBody) -> None:
        self.log_out()


class RotateApiKey(DeveloperEndpoint):
    @operation(
        "rotateApiKey",
        "Rotate the API key",
        description="Earlier keys keep working for `overlapSeconds`, by default not at all.",
        answer=RotatedApiKeyOut,
        repeatable=True,
    )
    def post(self, body: RotationBody) -> Answer:
        def work() -> RotatedApiKeyOut:
            new = rotate_api_key(actor=self.actor, developer=self.developer, overlap_seconds=body.overlap_seconds)
            return RotatedApiKeyOut.model_validate(new)

        return self.answer_once(self.developer.id, work)
