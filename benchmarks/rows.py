"""The rows of a measurement. Services make what exists once; what exists a thousand times is inserted in bulk."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password

from accounts.models import User
from agents.models import Agent
from agents.services import register_agent
from benchmarks.seed import CALLBACK, CHALLENGE, PEOPLE, RULES, SCOPES
from consent.connections import CONSENT_LIFETIME
from consent.models import AuthorizationCode, Consent
from core import clock, secrets
from core.actor import Actor
from core.chains import MAX_DEPTH
from core.ids import new_id
from developers.acting import as_developer
from developers.services import become_developer
from policies.services import create_policy
from resources.services import register_resource_server
from tokens.access_tokens import sign_access_token
from tokens.chains import read_chain
from tokens.families import REFRESH_TOKEN_LIFETIME
from tokens.models import AccessToken, Delegation, RefreshToken, TokenFamily

ACTOR = Actor("anonymous", ip="203.0.113.7", user_agent="benchmarks/1.0")
CHUNK = 2000


def seed(tokens: int, codes: int = 0, chains: int = 0, depth: int = 0) -> dict[str, Any]:
    """Create the rows. Return signed access tokens, authorization codes, and a refresh token for each of `chains`.

    With them are the ids and secrets of the resource server that asks and of the agent, and as many access tokens of
    work that was handed on, by each depth up to `depth`.
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
        "delegated": [hand_on(actor, families, place, tokens) for place in range(1, depth + 1)] if depth else [],
    }


def hand_on(actor: Actor, families: list[TokenFamily], depth: int, number: int) -> list[str]:
    """Let a new agent act for each of the families, and replace them by its own. Return its access tokens."""
    now, source = clock.now(), families[0].application
    agent = register_agent(
        actor=actor,
        organization=source.organization,  # type: ignore[arg-type]
        name=f"Helper {depth}",
        redirect_uris=[CALLBACK],
        allowed_scopes=SCOPES,
    ).agent
    delegations = insert(Delegation, [_delegation(family, agent, now) for family in families])
    families[:] = insert(TokenFamily, [_family_of(delegation, agent, now) for delegation in delegations])
    return add_tokens(agent, families, number)


def _delegation(family: TokenFamily, agent: Agent, now: Any) -> Delegation:
    delegation_id, above = new_id("del"), family.delegation
    return Delegation(
        id=delegation_id,
        consent=family.consent,
        user=family.user,
        parent=above,
        from_family=family,
        from_agent=family.application,
        to_agent=agent,
        path=[*(above.path if above else ()), delegation_id],
        max_depth=MAX_DEPTH,
        scopes=SCOPES,
        token_digest=secrets.digest(delegation_id),
        token_expires_at=now,
        redeemed_at=now,
        created_at=now,
        expires_at=(now + timedelta(days=1)).replace(microsecond=0),
    )


def _family_of(delegation: Delegation, agent: Agent, now: Any) -> TokenFamily:
    family = _family(delegation.consent, now)
    family.application, family.delegation, family.expires_at = agent, delegation, delegation.expires_at
    return family


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
    chains = {family.pk: read_chain(family.delegation) if family.delegation else () for family in families}
    at = now.replace(microsecond=0)
    return [sign_access_token(each, issued_at=at, chain=chains[each.family_id]) for each in tokens]


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
        delegation=Consent.Delegation.DEVELOPER,
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
