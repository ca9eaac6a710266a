"""The rows of a measurement. Services make what exists once; what exists a thousand times is inserted in bulk."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.test import Client

from accounts.models import User
from agents.services import register_agent
from benchmarks.seed import PEOPLE, RULES, SCOPES, Wanted
from consent.models import AuthorizationCode, Consent
from consent.services import ConsentRequest, request_consent
from core import clock, secrets
from core.actor import Actor
from developers.acting import as_developer
from developers.services import become_developer
from policies.services import create_policy
from resources.services import register_resource_server
from tokens.access_tokens import sign_access_token
from tokens.models import AccessToken, RefreshToken, TokenFamily

ACTOR = Actor("anonymous", ip="203.0.113.7", user_agent="benchmarks/1.0")
CALLBACK = "https://smartmail.example/callback"
CHUNK = 2000


def seed(wanted: Wanted) -> dict[str, Any]:
    """Create the rows and return tokens, codes and credentials."""
    now = clock.now()
    user = User.objects.create_user("dev@acme.example", "correct-horse-battery-7")
    developer = become_developer(actor=ACTOR, user=user, name="Acme").developer
    actor = as_developer(ACTOR, developer)
    organization = developer.organization
    registered = register_agent(
        actor=actor, organization=organization, name="SmartMail", redirect_uris=[CALLBACK], allowed_scopes=SCOPES
    )
    service = register_resource_server(
        actor=actor, organization=organization, name="Mail", identifier="https://mail.example", scopes=SCOPES
    )
    for number in range(wanted.policies):
        kind, config = RULES[number if number < len(RULES) else 1 + number % 3]
        rule = {"type": kind, "config": config}
        create_policy(actor=actor, organization=organization, name=f"{kind} {number}", rules=[rule])
    rows = Rows(registered.agent, now)
    rows.add_tokens(wanted.revoked, revoked=True)
    return {
        "server": [service.server.id, service.secret],
        "agent": [registered.agent.client_id, registered.client_secret],
        "tokens": rows.add_tokens(wanted.tokens),
        "codes": rows.add_codes(wanted.codes),
        "refreshes": rows.add_refreshes(wanted.refreshes),
        **consent_page(registered.agent, rows.people[0]),
    }


def consent_page(agent: Any, user: User) -> dict[str, str]:
    """Return the path of a pending consent and the cookies of a user who may decide it."""
    request = ConsentRequest(scopes=SCOPES, redirect_uri=CALLBACK, reason="To answer your mail")
    consent = request_consent(actor=ACTOR, agent=agent, request=request)
    # The page must not expire during the run.
    Consent.objects.filter(pk=consent.pk).update(expires_at=clock.now() + timedelta(days=1))
    client = Client()
    client.force_login(user)
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in client.cookies.items())
    return {"page": f"/consent/{consent.id}", "cookies": cookies}


class Rows:
    """Users, their consents and the token families of one agent. The families are dealt out in turn."""

    def __init__(self, agent: Any, now: Any) -> None:
        self.agent, self.now = agent, now
        self.later = now + timedelta(days=1)
        self.people = self._people()
        self._consents = insert(Consent, [self._consent(user) for user in self.people])
        self._families = insert(TokenFamily, [self._family(consent) for consent in self._consents])

    def _people(self) -> list[User]:
        password = make_password("correct-horse-battery-7")
        return insert(User, [User(email=f"user{n}@example.com", name="Ada", password=password) for n in range(PEOPLE)])

    def _consent(self, user: User) -> Consent:
        return Consent(
            agent=self.agent,
            organization=self.agent.organization,
            user=user,
            status=Consent.Status.APPROVED,
            requested_scopes=SCOPES,
            granted_scopes=SCOPES,
            redirect_uri=CALLBACK,
            created_at=self.now,
            decided_at=self.now,
            expires_at=self.now + settings.CONSENT_LIFETIME,
        )

    def _family(self, consent: Consent, **fields: Any) -> TokenFamily:
        return TokenFamily(
            application=self.agent,
            user=consent.user,
            consent=consent,
            scope=" ".join(SCOPES),
            resource=[settings.API_URL],
            created_at=self.now,
            expires_at=self.now + settings.REFRESH_TOKEN_LIFETIME,
            **fields,
        )

    def add_tokens(self, number: int, *, revoked: bool = False) -> list[str]:
        """Add access tokens and return them, signed. Those of a revoked family are not returned."""
        families = self._families
        if revoked and number:
            consents = [self._consents[n % PEOPLE] for n in range(number)]
            families = insert(TokenFamily, [self._family(consent, revoked_at=self.now) for consent in consents])
        tokens = insert(AccessToken, [self._token(families[n % len(families)]) for n in range(number)])
        issued_at = self.now.replace(microsecond=0)
        return [] if revoked else [sign_access_token(token, issued_at=issued_at) for token in tokens]

    def _token(self, family: TokenFamily) -> AccessToken:
        return AccessToken(
            family=family,
            application=self.agent,
            user=family.user,
            scope=" ".join(SCOPES),
            resource=[settings.API_URL],
            expires=self.later.replace(microsecond=0),
        )

    def add_codes(self, number: int) -> list[str]:
        """Add authorization codes that can each be exchanged once, and return them."""
        codes = [secrets.new_secret("agcode") for _ in range(number)]
        insert(AuthorizationCode, [self._code(code, self._consents[n % PEOPLE]) for n, code in enumerate(codes)])
        return codes

    def _code(self, code: str, consent: Consent) -> AuthorizationCode:
        return AuthorizationCode(
            code=secrets.digest(code),
            application=self.agent,
            user=consent.user,
            consent=consent,
            expires=self.later,
            redirect_uri=CALLBACK,
            scope=" ".join(SCOPES),
            resource=[settings.API_URL],
        )

    def add_refreshes(self, number: int) -> list[str]:
        """Add refresh tokens, each of its own family, and return them."""
        values = [secrets.new_secret("agr") for _ in range(number)]
        families = insert(TokenFamily, [self._family(self._consents[n % PEOPLE]) for n in range(number)])
        pairs = zip(values, families, strict=True)
        insert(RefreshToken, [self._refresh_token(value, family) for value, family in pairs])
        return values

    def _refresh_token(self, value: str, family: TokenFamily) -> RefreshToken:
        return RefreshToken(
            token_checksum=secrets.digest(value),
            family=family,
            application=self.agent,
            user=family.user,
            expires=self.later,
        )


def insert[Row](model: type[Row], rows: Sequence[Row]) -> list[Row]:
    """Insert the rows and return them."""
    model.objects.bulk_create(rows, batch_size=CHUNK)  # type: ignore[attr-defined]
    return list(rows)
