"""Login and logout, and API keys."""

from accounts.errors import BadCredentials, ReauthenticationRequired, SecondFactorRequired, WrongSecondFactor
from accounts.services import SESSION_TOKEN_LIFETIME, open_session
from accounts.session_ends import end_session
from api.authentication import SessionCredential
from api.endpoint import DeveloperEndpoint, UserEndpoint
from api.operations import operation
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.pages import Page, PageQuery, paginate
from api.v1.schemas.people import DeveloperSessionOut, LogInBody, RotatedApiKeyOut, RotationBody
from api.v1.schemas.secrets import (
    ApiKeyOut,
    NewApiKeyBody,
    NewApiKeyOut,
    RotatedNamedApiKeyOut,
    show_api_keys,
    show_new_api_key,
    show_rotated_api_key,
)
from api.v1.users import SECOND_FACTOR, LogIn
from core.errors import Forbidden, Throttled
from core.idempotency import Answer
from core.rotation import AlreadyReplaced
from developers.api_keys import MAX_API_KEYS, create_api_key, revoke_api_key, rotate_api_key
from developers.errors import OrganizationSuspended
from developers.roles import Right
from developers.selectors import api_keys_within_reach, memberships_of
from developers.services import require_organization


class LogInDeveloper(LogIn):
    @operation(
        "logInDeveloper",
        "Log in a developer for 12 hours",
        description="A member of several organizations names one in `X-Organization` of each request. " + SECOND_FACTOR,
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
        members = list(memberships_of(user)[:2])
        if not members:
            raise Forbidden("This account is not a developer account. Register as a developer first.")
        sole = members[0] if len(members) == 1 else None
        if sole is not None:
            require_organization(sole.organization)

        def work() -> DeveloperSessionOut:
            opened = open_session(actor=self.actor, user=user)
            return DeveloperSessionOut(
                id=sole.id if sole else None,
                name=sole.organization.name if sole else user.get_full_name(),
                email=user.email,
                session_token=opened.token,
                expires_at=opened.session.expires_at,
            )

        return self.answer_once(user.id, work, lifetime=SESSION_TOKEN_LIFETIME)


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


class ApiKeys(DeveloperEndpoint):
    @operation(
        "listApiKeys",
        "List the developer's API keys and the organization's own, newest first, without their values",
        answer=Page[ApiKeyOut],
        right=Right.READ,
    )
    def get(self, query: PageQuery) -> Page[ApiKeyOut]:
        rows = api_keys_within_reach(self.access.developer, self.organization_id)
        return paginate(Page[ApiKeyOut], rows, query, show_api_keys)

    @operation(
        "createApiKey",
        "Create another API key",
        description="Give each place that uses one its own, with the least role that it needs. At most "
        f"{MAX_API_KEYS} of a developer work at once, and as many of the organization. Every key ends when the "
        "developer leaves the organization, except for the organization's own.",
        answer=NewApiKeyOut,
        status=201,
        errors=(ReauthenticationRequired,),
        repeatable=True,
        request_example={"name": "deployment", "role": "developer", "expiresInSeconds": 7_776_000},
        right=Right.READ,
    )
    def post(self, body: NewApiKeyBody) -> Answer:
        def work() -> NewApiKeyOut:
            added = create_api_key(
                actor=self.actor,
                developer=self.access.member,
                name=body.name,
                role=body.role,
                agent_ids=body.agent_ids,
                lifetime_seconds=body.expires_in_seconds,
                owned_by_organization=body.owned_by_organization,
            )
            return show_new_api_key(added)

        return self.answer_once(self.access.credential, work)


class OneApiKey(DeveloperEndpoint):
    @operation(
        "revokeApiKey",
        "Revoke one of the developer's API keys, or one of the organization's",
        description="It can be the key of this request. The other keys keep working. A key cannot revoke another one "
        "that may do more. Owners and admins can revoke the organization's keys.",
        status=204,
        right=Right.READ,
    )
    def delete(self, key_id: str) -> None:
        revoke_api_key(actor=self.actor, developer=self.access.member, key_id=key_id)


class RotateOneApiKey(DeveloperEndpoint):
    @operation(
        "rotateOneApiKey",
        "Rotate one of the developer's API keys, or one of the organization's",
        description="The new key has the same name, role and agents, and works as long as the earlier one was meant "
        "to. The earlier one keeps working for `overlapSeconds`, by default not at all. A key cannot rotate another "
        "one that may do more. Owners and admins can rotate the organization's keys.",
        answer=RotatedNamedApiKeyOut,
        errors=(AlreadyReplaced, ReauthenticationRequired),
        repeatable=True,
        right=Right.READ,
    )
    def post(self, key_id: str, body: RotationBody) -> Answer:
        def work() -> RotatedNamedApiKeyOut:
            new = rotate_api_key(
                actor=self.actor, developer=self.access.member, overlap_seconds=body.overlap_seconds, key_id=key_id
            )
            return show_rotated_api_key(new)

        return self.answer_once(self.access.credential, work)


class RotateApiKey(DeveloperEndpoint):
    @operation(
        "rotateApiKey",
        "Replace all of the developer's API keys with a new one",
        description="The new key has the name, the role, the agents and the lifetime of a single earlier one. If there "
        "are several, it has no name and no end, reaches all agents, and has the greatest of their roles. Earlier keys "
        "keep working for `overlapSeconds`, by default not at all. A key cannot do this if another one may do more.",
        answer=RotatedApiKeyOut,
        errors=(ReauthenticationRequired,),
        repeatable=True,
        right=Right.READ,
    )
    def post(self, body: RotationBody) -> Answer:
        def work() -> RotatedApiKeyOut:
            new = rotate_api_key(actor=self.actor, developer=self.access.member, overlap_seconds=body.overlap_seconds)
            return RotatedApiKeyOut.model_validate(new)

        return self.answer_once(self.access.credential, work)
