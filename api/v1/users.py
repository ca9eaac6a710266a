"""Users: login, and their own consents and log."""

from accounts.errors import BadCredentials, SecondFactorRequired, WrongSecondFactor
from accounts.models import User
from accounts.second_factors import require_second_factor
from accounts.services import SESSION_TOKEN_LIFETIME, check_password, open_session
from api.endpoint import Endpoint, UserEndpoint
from api.operations import operation
from api.v1.schemas.audit import AuditEntryOut, OwnAuditQuery, filters_of, paginate_log, show_entries_about
from api.v1.schemas.base import EmptyBody
from api.v1.schemas.consent import (
    ConnectedConsentOut,
    NarrowBody,
    RevokedConsentOut,
    show_connection,
    show_consents,
)
from api.v1.schemas.pages import Page, PageQuery, paginate
from api.v1.schemas.people import LogInBody, UserSessionOut
from audit.selectors import entries_for_user
from consent.errors import ConsentAlreadyDecided, WouldWiden
from consent.narrowing import narrow_consent
from consent.selectors import consent_for_user, consents_for_user
from consent.services import revoke_consent
from core.errors import NotFound, Throttled
from core.idempotency import Answer

SECOND_FACTOR = (
    "If the account has an authenticator app, `code` must be its current code or a recovery code; without `code`, the "
    "response is 401 `second_factor_required`. Each code works once. An account that has only passkeys cannot log in "
    "here, because a passkey works only on the website."
)


class LogIn(Endpoint):
    """The password, and the second factor of an account that has one."""

    def check(self, body: LogInBody) -> User:
        user = check_password(actor=self.actor, email=body.email, password=body.password)
        if not self.is_repeated(user.id):
            require_second_factor(actor=self.actor, user=user, code=body.code)
        return user


class LogInUser(LogIn):
    @operation(
        "logInUser",
        "Log in a user for 12 hours",
        description=SECOND_FACTOR,
        answer=UserSessionOut,
        errors=(BadCredentials, SecondFactorRequired, WrongSecondFactor, Throttled),
        repeatable=True,
        request_example={"email": "ada@example.com", "password": "correct-horse-battery"},
    )
    def post(self, body: LogInBody) -> Answer:
        user = self.check(body)

        def work() -> UserSessionOut:
            return UserSessionOut.model_validate(open_session(actor=self.actor, user=user))

        return self.answer_once(user.id, work, lifetime=SESSION_TOKEN_LIFETIME)


class OwnEndpoint(UserEndpoint):
    """An endpoint below `/users/:id` for that user only. Any other id returns 404."""

    def identify(self) -> None:
        super().identify()
        if self.kwargs["user_id"] not in ("me", self.user.id):
            raise NotFound("No such resource.")


class Consents(OwnEndpoint):
    @operation(
        "listUserConsents",
        "List the user's own consents",
        description="`lastUsedAt` is when a request of the agent was last allowed under the consent or one that it "
        "replaced. `scopeUses` says the same of each granted scope, and `suggestedRemovals` names those that the agent "
        "does not use.",
        answer=Page[ConnectedConsentOut],
    )
    def get(self, user_id: str, query: PageQuery) -> Page[ConnectedConsentOut]:
        return paginate(Page[ConnectedConsentOut], consents_for_user(self.user), query, show_consents)


class OneOwnConsent(OwnEndpoint):
    @operation(
        "narrowUserConsent",
        "Narrow a consent",
        description="Takes back a part of what the agent may do, without a new consent: ask for more scopes, add or "
        "tighten limits, tighten guards, keep fewer targets, remove scopes, or end earlier. No verify request that "
        "starts after the response uses the earlier terms. The id of a replaced consent narrows the consent that "
        "replaced it, and the response is that consent. Only a new consent can allow more: anything that would is a "
        "409 `would_widen`.",
        answer=ConnectedConsentOut,
        errors=(ConsentAlreadyDecided, WouldWiden),
    )
    def patch(self, user_id: str, consent_id: str, body: NarrowBody) -> ConnectedConsentOut:
        consent = consent_for_user(self.user, consent_id)
        narrowed = narrow_consent(actor=self.actor, user=self.user, consent=consent, narrowing=body.narrowing())
        return show_connection(narrowed)


class RevokeConsent(OwnEndpoint):
    @operation(
        "revokeUserConsent",
        "Revoke a consent",
        description="No verify request that starts after the response is allowed under it. The id of a replaced "
        "consent revokes the consent that replaced it, and the response has the id of that consent. Revoking twice "
        "changes nothing.",
        answer=RevokedConsentOut,
        errors=(ConsentAlreadyDecided,),
    )
    def post(self, user_id: str, consent_id: str, body: EmptyBody) -> RevokedConsentOut:
        consent = consent_for_user(self.user, consent_id)
        return RevokedConsentOut.model_validate(revoke_consent(actor=self.actor, consent=consent))


class OwnAuditLogs(OwnEndpoint):
    @operation(
        "listUserAuditLogs",
        "List the log entries about the user, newest first",
        answer=Page[AuditEntryOut],
    )
    def get(self, user_id: str, query: OwnAuditQuery) -> Page[AuditEntryOut]:
        listing = entries_for_user(self.user.id, filters_of(query))
        return paginate_log(listing, query, show_entries_about(self.user.id))
