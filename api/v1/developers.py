"""Developers: registering, signing in and out, the API key."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.services import check_password, end_session, open_session
from accounts.throttles import throttle_registration
from api.authentication import SessionCredential
from api.endpoint import DeveloperEndpoint, Endpoint, PersonEndpoint
from api.v1.shapes.consent import EmptyBody
from api.v1.shapes.people import (
    DeveloperRegistration,
    DeveloperSession,
    Login,
    NewDeveloper,
    RotatedApiKey,
    Rotation,
)
from core.errors import Forbidden
from core.idempotency import Answer
from developers.selectors import developer_for_user
from developers.services import create_developer, find_registrant, rotate_api_key


class RegisterDeveloper(Endpoint):
    def post(self, request: Request) -> Response:
        body = self.read(DeveloperRegistration)
        throttle_registration(self.actor)
        registrant = find_registrant(actor=self.actor, **body)

        def work() -> Answer:
            registered = create_developer(actor=self.actor, registrant=registrant, name=body["name"])
            return Answer(201, NewDeveloper(registered).data)

        return self.answer_once(self.actor.ip or "", work)


class LogInDeveloper(Endpoint):
    def post(self, request: Request) -> Response:
        user = check_password(actor=self.actor, **self.read(Login))
        developer = developer_for_user(user)
        if developer is None:
            raise Forbidden("This person is no developer; register as one first.")

        def work() -> Answer:
            opened = open_session(actor=self.actor, user=user)
            shown = {"developer": developer, "session": opened.session, "token": opened.token}
            return Answer(200, DeveloperSession(shown).data)

        return self.answer_once(user.id, work)


class LogOut(PersonEndpoint):
    """Ends the session token that it is asked with."""

    def post(self, request: Request) -> Response:
        self.read(EmptyBody)
        if not isinstance(request.auth, SessionCredential):
            raise Forbidden("Only a session token ends here; the browser's session ends on its page.")
        end_session(actor=self.actor, user=self.person, session_id=request.auth.session.id)
        return Response(status=204)


class RotateApiKey(DeveloperEndpoint):
    def post(self, request: Request) -> Response:
        body = self.read(Rotation)

        def work() -> Answer:
            return Answer(200, RotatedApiKey(rotate_api_key(actor=self.actor, developer=self.developer, **body)).data)

        return self.answer_once(self.developer.id, work)
