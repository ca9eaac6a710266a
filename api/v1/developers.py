"""Developers: signing in and out, the API key."""

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadCredentials
from accounts.services import check_password, end_session, open_session
from api.authentication import SessionCredential
from api.endpoint import DeveloperEndpoint, Endpoint, PersonEndpoint
from api.operations import operation
from api.v1.shapes.consent import EmptyBody
from api.v1.shapes.people import (
    DeveloperSession,
    Login,
    RotatedApiKey,
    Rotation,
)
from core.errors import Forbidden, Throttled
from core.idempotency import Answer
from developers.errors import OrganizationSuspended
from developers.selectors import developer_for_user
from developers.services import require_organization, rotate_api_key


class LogInDeveloper(Endpoint):
    @operation(
        "logInDeveloper",
        "Sign a developer in for twelve hours",
        body=Login,
        answer=DeveloperSession,
        errors=(BadCredentials, Forbidden, OrganizationSuspended, Throttled),
        repeatable=True,
        request_example={"email": "dev@acme.example", "password": "correct-horse-battery"},
    )
    def post(self, request: Request) -> Answer:
        user = check_password(actor=self.actor, **self.read(Login))
        developer = developer_for_user(user)
        if developer is None:
            raise Forbidden("This account is not a developer account. Register as a developer first.")
        require_organization(developer.organization)

        def work() -> Answer:
            opened = open_session(actor=self.actor, user=user)
            shown = {"developer": developer, "session": opened.session, "token": opened.token}
            return Answer(200, DeveloperSession(shown).data)

        return self.answer_once(user.id, work, lifetime=settings.SESSION_TOKEN_LIFETIME)


class LogOut(PersonEndpoint):
    """Ends the session token that it is asked with."""

    def log_out(self, request: Request) -> Response:
        self.read(EmptyBody)
        if not isinstance(request.auth, SessionCredential):
            raise Forbidden("Only a session token can be ended here. To end a browser session, sign out.")
        end_session(actor=self.actor, user=self.person, session_id=request.auth.session.id)
        return Response(status=204)


class LogOutDeveloper(LogOut):
    @operation("logOutDeveloper", "End the session token", body=EmptyBody, status=204)
    def post(self, request: Request) -> Response:
        return self.log_out(request)


class LogOutUser(LogOut):
    @operation("logOutUser", "End the session token", body=EmptyBody, status=204)
    def post(self, request: Request) -> Response:
        return self.log_out(request)


class RotateApiKey(DeveloperEndpoint):
    @operation(
        "rotateApiKey",
        "Replace the API key",
        description="The keys before it go on for `overlapSeconds`, by default not at all.",
        body=Rotation,
        answer=RotatedApiKey,
        repeatable=True,
    )
    def post(self, request: Request) -> Answer:
        body = self.read(Rotation)

        def work() -> Answer:
            return Answer(200, RotatedApiKey(rotate_api_key(actor=self.actor, developer=self.developer, **body)).data)

        return self.answer_once(self.developer.id, work)
