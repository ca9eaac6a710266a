"""The rows of a measurement. Services make what exists once; what exists a thousand times is inserted in bulk."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password

from accounts.models import User
from agents.services import register_agent
from benchmarks.seed import CALLBACK, CHALLENGE, PEOPLE, RULES, SCOPES
from consent.connections import CONSENT_LIFETIME
from consent.models import AuthorizationCode, Consent
from core import clock, secrets
from core.actor import Actor
from developers.acting import as_developer
from developers.services import become_developer
from policies.services import create_policy
from resources.services import register_resource_server
from tokens.access_tokens import sign_access_token
from tokens.families import REFRESH_TOKEN_LIFETIME
from tokens.models import AccessToken, RefreshToken, TokenFamily

ACTOR = Actor("anonymous", ip="203.0.113.7", user_agent="benchmarks/1.0")
CHUNK = 2000


def seed(tokens: int, codes: int = 0, chains: int = 0) -> dict[str, Any]:
    """Create the rows. Return signed access tokens, authorization codes, and a refresh token for each of `chains`.

    With them are the ids and secrets of the resource server that asks and of the agent.
    """
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
    for kind, config in RULES:
        rule = {"type": kind, "config": config}
        create_policy(actor=actor, organization=organization, name=kind, rules=[rule])
    # Users who are connected to the agent, with a token family each. The rows are dealt out to them in turn.
    families = add_families(registered.agent, clock.now())
    return {
        "server": [service.server.id, service.secret],
        "client": [registered.agent.client_id, registered.client_secret],
        "tokens": add_tokens(registered.agent, families, tokens),
        "codes": add_codes(families, codes),
        "refreshTokens": add_refresh_tokens(families[:chains]),
    }


def add_tokens(agent: Any, families: list[TokenFamily], number: int) -> list[str]:
    now = clock.now()
    later = now + timedelta(days=1)

    def token(family: TokenFamily) -> AccessToken:
        return AccessToken(
            family=family,
            application=agent,
            user=family.user,
            scope=" ".join(SCOPES),
            resource=[settings.API_URL],
            expires=later.replace(microsecond=0),
        )

    tokens = insert(AccessToken, [token(families[place % len(families)]) for place in range(number)])
    return [sign_access_token(each, issued_at=now.replace(microsecond=0)) for each in tokens]


def add_codes(families: list[TokenFamily], number: int) -> list[str]:
    """Add codes that can be exchanged with `VERIFIER`, and return them."""
    later = clock.now() + timedelta(days=1)
    codes = [secrets.new_secret("agcode") for _ in range(number)]

    def row(code: str, family: TokenFamily) -> AuthorizationCode:
        return AuthorizationCode(
            code=secrets.digest(code),
            application=family.application,
            user=family.user,
            consent=family.consent,
            expires=later,
            redirect_uri=CALLBACK,
            scope=family.scope,
            code_challenge=CHALLENGE,
            code_challenge_method="S256",
            resource=family.resource,
        )

    insert(AuthorizationCode, [row(code, families[place % len(families)]) for place, code in enumerate(codes)])
    return codes


def add_refresh_tokens(families: list[TokenFamily]) -> list[str]:
    """Add a refresh token to each family, and return them."""
    values = [secrets.new_secret("agr") for _ in families]
    rows = [
        RefreshToken(
            token_checksum=secrets.digest(value),
            family=family,
            application=family.application,
            user=family.user,
            expires=family.expires_at,
        )
        for value, family in zip(values, families, strict=True)
    ]
    insert(RefreshToken, rows)
    return values


def add_families(agent: Any, now: Any) -> list[TokenFamily]:
    password = make_password("correct-horse-battery-7")
    people = [User(email=f"user{place}@example.com", name="Ada", password=password) for place in range(PEOPLE)]
    consents = insert(Consent, [_consent(agent, user, now) for user in insert(User, people)])
    return insert(TokenFamily, [_family(consent, now) for consent in consents])


def _consent(agent: Any, user: User, now: Any) -> Consent:
    return Consent(
        agent=agent,
        organization=agent.organization,
        user=user,
        status=Consent.Status.APPROVED,
        requested_scopes=SCOPES,
        granted_scopes=SCOPES,
        redirect_uri=CALLBACK,
        created_at=now,
        decided_at=now,
        expires_at=now + CONSENT_LIFETIME,
    )


def _family(consent: Consent, now: Any) -> TokenFamily:
    return TokenFamily(
        application=consent.agent,
        user=consent.user,
        consent=consent,
        scope=" ".join(SCOPES),
        resource=[settings.API_URL],
        created_at=now,
        expires_at=now + REFRESH_TOKEN_LIFETIME,
    )


def insert[Row](model: type[Row], rows: list[Row]) -> list[Row]:
    """Insert the rows and return them."""
    model.objects.bulk_create(rows, batch_size=CHUNK)  # type: ignore[attr-defined]
    return rows
