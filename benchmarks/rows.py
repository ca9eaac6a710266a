"""The rows of a measurement. Services make what exists once; what exists a thousand times is inserted in bulk."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password

from accounts.models import User
from agents.services import register_agent
from benchmarks.seed import PEOPLE, RULES, SCOPES
from consent.connections import CONSENT_LIFETIME
from consent.models import Consent
from core import clock
from core.actor import Actor
from developers.acting import as_developer
from developers.services import become_developer
from policies.services import create_policy
from resources.services import register_resource_server
from tokens.access_tokens import sign_access_token
from tokens.families import REFRESH_TOKEN_LIFETIME
from tokens.models import AccessToken, TokenFamily

ACTOR = Actor("anonymous", ip="203.0.113.7", user_agent="benchmarks/1.0")
CALLBACK = "https://smartmail.example/callback"
CHUNK = 2000


def seed(tokens: int) -> dict[str, Any]:
    """Create the rows. Return signed access tokens, and the id and secret of the resource server that asks."""
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
    return {"server": [service.server.id, service.secret], "tokens": add_tokens(registered.agent, tokens)}


def add_tokens(agent: Any, number: int) -> list[str]:
    """Add users who are connected to the agent, with a token family each. Deal the tokens out to them in turn."""
    now = clock.now()
    later = now + timedelta(days=1)
    families = add_families(agent, now)

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
