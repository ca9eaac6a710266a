"""People: signing in, their consents and their log."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadCredentials
from accounts.services import check_password, open_session
from api.endpoint import Endpoint, PersonEndpoint
from api.operations import operation, page_of
from api.pagination import PageQuery, paginate, read_query
from api.v1.shapes.audit import AuditEntry, OwnAuditQuery, filters_of, show_entries_about
from api.v1.shapes.consent import ConnectedConsent, EmptyBody, RevokedConsent, agent_facts
from api.v1.shapes.people import Login, UserSession
from audit.selectors import entries_for_user
from consent.errors import ConsentAlreadyDecided
from consent.models import Consent
from consent.selectors import consent_for_user, consents_for_user, last_uses_of
from consent.services import revoke_consent
from core import clock
from core.errors import NotFound, Throttled
from core.idempotency import Answer


class LogInUser(Endpoint):
    @operation(
        "logInUser",
        "Sign a person in for twelve hours",
        body=Login,
        answer=UserSession,
        errors=(BadCredentials, Throttled),
        repeatable=True,
        request_example={"email": "ada@example.com", "password": "correct-horse-battery"},
    )
    def post(self, request: Request) -> Answer:
        user = check_password(actor=self.actor, **self.read(Login))

        def work() -> Answer:
            return Answer(200, UserSession(open_session(actor=self.actor, user=user)).data)

        return self.answer_once(user.id, work, lifetime=settings.SESSION_TOKEN_LIFETIME)


class OwnEndpoint(PersonEndpoint):
    """Below `/users/:id`: that person only. Everybody else's looks absent."""

    def identify(self) -> None:
        super().identify()
        if self.kwargs["user_id"] not in ("me", self.person.id):
            raise NotFound("No such resource.")


class Consents(OwnEndpoint):
    @operation(
        "listUserConsents",
        "List a person's own consents",
        description="`lastUsedAt` is when the agent was last allowed something under it.",
        query=PageQuery,
        answer=page_of(ConnectedConsent),
    )
    def get(self, request: Request, user_id: str) -> Response:
        query = read_query(request, PageQuery)
        return paginate(consents_for_user(self.person), query, show_consents)


class RevokeConsent(OwnEndpoint):
    @operation(
        "revokeUserConsent",
        "Take a consent back, at once",
        description="No verify that starts after the answer is allowed by it. The id of a replaced consent revokes the "
        "one that replaced it, and the answer has that one's id. Revoking twice changes nothing.",
        body=EmptyBody,
        answer=RevokedConsent,
        errors=(ConsentAlreadyDecided,),
    )
    def post(self, request: Request, user_id: str, consent_id: str) -> Response:
        self.read(EmptyBody)
        consent = consent_for_user(self.person, consent_id)
        return Response(RevokedConsent(revoke_consent(actor=self.actor, consent=consent)).data)


class OwnAuditLogs(OwnEndpoint):
    @operation(
        "listUserAuditLogs",
        "List what happened about a person, newest first",
        query=OwnAuditQuery,
        answer=page_of(AuditEntry),
    )
    def get(self, request: Request, user_id: str) -> Response:
        query = read_query(request, OwnAuditQuery)
        return paginate(entries_for_user(self.person.id, filters_of(query)), query, show_entries_about(self.person.id))


def show_consents(consents: Sequence[Consent]) -> list[dict[str, Any]]:
    """Return the consents as JSON. When each was last used is read from the log."""
    now, used = clock.now(), last_uses_of(consents)
    rows = [
        {
            "id": consent.id,
            "status": consent.status_at(now),
            "agent": agent_facts(consent),
            "grantedScopes": consent.granted_scopes,
            "createdAt": consent.created_at,
            "decidedAt": consent.decided_at,
            "lastUsedAt": used.get(consent.id),
            "expiresAt": consent.expires_at,
        }
        for consent in consents
    ]
    return list(ConnectedConsent(rows, many=True).data)
