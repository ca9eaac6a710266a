"""A database with rows of every model, created by the services, and the secrets that were shown."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import BrowserSession, Notice, PendingRegistration, User
from accounts.registration import start_registration
from accounts.services import new_user, open_session, register_user
from accounts.verification import send_address_code
from agents.logos import FetchedLogo, save_logo
from agents.models import Agent, UsedAssertion
from agents.services import register_agent
from audit.entries.drafts import Draft
from audit.events import Event
from audit.models import Archive, ArchivedObject, Cosignature, Posting, Progress, Segment, Stream, Tile, WitnessFailure
from audit.sequencing.sequencer import sequence
from audit.services import record
from consent.granting import approve_consent
from consent.models import Consent
from core import clock
from core.actor import SYSTEM
from core.idempotency import Answer, RepeatableRequest, answer_once
from core.ids import new_id
from core.models import TaskRun
from core.secrets import digest, new_secret
from decisions.requests import VerifyRequest
from decisions.services import decide
from developers.acting import as_developer
from developers.domains import claim_domain
from developers.models import Developer
from developers.services import register_developer
from insights.services import count_log
from limits.throttle import Subject, Throttle
from policies.services import create_policy
from resources.custom_scopes import ScopeDefinition
from resources.models import ReservedIdentifier
from resources.services import register_resource_server
from tests.approvals import make_approval
from tests.constants import CALLBACK, PASSWORD
from tests.pictures import png
from tests.world import ANONYMOUS, ask
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens
from tokens.models import Delegation
from tokens.refresh import refresh_tokens

OWN_SCOPE = ScopeDefinition("acme:books", "low", "See your books", "See titles", "change them")


@dataclass
class World:
    administrator: User
    ada: User
    developer: Developer
    agent: Agent
    consent: Consent
    tokens: IssuedTokens
    shown: set[str] = field(default_factory=set)
    """Every secret that was returned."""


def make_world() -> World:
    """Create users, an agent with a live grant, and at least one row of every other model."""
    administrator = User.objects.create_superuser("root@example.com", PASSWORD)
    ada = register_user(actor=ANONYMOUS, email="ada@example.com", password=PASSWORD, name="Ada")
    registered = register_developer(actor=ANONYMOUS, name="Acme", email="dev@example.com", password=PASSWORD)
    developer = registered.developer
    actor = as_developer(ANONYMOUS, developer)
    made = register_agent(
        actor=actor,
        organization=developer.organization,
        name="SmartMail",
        redirect_uris=[CALLBACK],
        allowed_scopes=["email:read", "email:send"],
    )
    rules = [{"type": "action_blocklist", "config": {"actions": ["payments:*"]}}]
    create_policy(actor=actor, organization=developer.organization, name="No payments", rules=rules)
    consent, code, tokens, spent = make_grant(made.agent, ada)
    world = World(administrator, ada, developer, made.agent, consent, tokens)
    world.shown |= {PASSWORD, registered.api_key, made.client_secret, code, spent}
    world.shown |= {tokens.access_token, str(tokens.refresh_token)}
    make_approval(world.consent)
    _fill_the_rest(world)
    return world


def make_grant(agent: Agent, user: User) -> tuple[Consent, str, IssuedTokens, str]:
    """Return an approved consent, its used code, the newest tokens and the used refresh token."""
    pending = ask(agent)
    approval = approve_consent(actor=ANONYMOUS.acting_as("user", user.id), consent=pending, user=user)
    first = exchange_code(actor=ANONYMOUS, agent=agent, code=approval.code)
    assert isinstance(first, IssuedTokens)
    assert first.refresh_token
    second = refresh_tokens(actor=ANONYMOUS, agent=agent, refresh_token=first.refresh_token)
    assert isinstance(second, IssuedTokens)
    return approval.consent, approval.code, second, first.refresh_token


def _hand_over(world: World) -> None:
    """Add a delegation, as a row: another agent and its tokens would change what the tests count."""
    now, one = clock.now(), new_id("del")
    world.shown.add(token := new_secret("dlg"))
    Delegation.objects.create(
        id=one,
        consent=world.consent,
        user=world.ada,
        from_family=world.agent.families.latest("pk"),
        from_agent=world.agent,
        to_agent=world.agent,
        path=[one],
        max_depth=4,
        scopes=["email:read"],
        token_digest=digest(token),
        token_expires_at=now + timedelta(minutes=1),
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )


def _fill_the_rest(world: World) -> None:
    _hand_over(world)
    world.shown.add(open_session(actor=ANONYMOUS, user=world.ada).token)
    send_address_code(actor=ANONYMOUS, user=world.ada, email="ada@work.example")
    pending = new_user(email="eve@example.com", password=PASSWORD)
    start_registration(actor=ANONYMOUS, kind=PendingRegistration.Kind.USER, user=pending)
    server = register_resource_server(
        actor=SYSTEM,
        organization=world.developer.organization,
        name="Books",
        identifier="https://books.example",
        scopes=[OWN_SCOPE],
    )
    world.shown.add(server.secret)
    ReservedIdentifier.objects.create(
        identifier="https://former.example", organization=world.developer.organization, created_at=clock.now()
    )
    Throttle("sign-in", "10/minute").count(Subject("address:203.0.113.7"))
    retried = RepeatableRequest(key="k", path="/p", credential="c", body={}, lifetime=timedelta(hours=1))
    answer_once(retried, lambda: Answer(201, {"secret": "shown"}))
    TaskRun.objects.create(name="server.tasks.record_heartbeat", started_at=clock.now(), seconds=0.01)
    claim_domain(actor=SYSTEM, organization=world.developer.organization, domain="acme.com")
    Notice.objects.create(user=world.ada, name="new_device", facts={}, created_at=clock.now())
    BrowserSession.objects.create(session_key="browser", session_data="", expire_date=clock.now())
    save_logo(actor=SYSTEM, agent=world.agent, logo=FetchedLogo("https://acme.example/logo.png", png(), "image/png"))
    UsedAssertion.objects.create(digest=digest("assertion"), expires_at=clock.now())
    amount = {"value": "12.50", "currency": "EUR"}
    token = world.tokens.access_token
    decide([VerifyRequest(token, ["email:read"], ANONYMOUS, context={"amount": amount}, reserve_seconds=60)])
    _fill_the_log()


def _fill_the_log() -> None:
    """Move all entries but one from the journal into the log, and add what the log has once it is long."""
    sequence()
    Stream.objects.create(id="cns_used", number=1, allowed=1, denied=0, spent="{}")
    Progress.objects.get_or_create(id=1, defaults={"streams_size": 0})
    Tile.objects.create(level=5, number=0, hashes=b"0", root=b"0")
    Archive.objects.create(month=202601, first=-2, last=-1, checkpoint=1, state="pruned", updated_at=clock.now())
    ArchivedObject.objects.create(first=-2, last=-1, month=202601, lowest="0" * 32, highest="0" * 32, size=1)
    Cosignature.objects.create(size=1, witness="witness.example", line="-")
    WitnessFailure.objects.create(witness="witness.example", is_refusal=True, reason="-", since=clock.now())
    Segment.objects.create(number=-1, earliest=clock.now(), latest=clock.now(), timestamps=b"")
    Posting.objects.create(term=1, segment=-1, entries=b"")
    record(Draft(event=Event.TOKEN_VERIFY, actor=SYSTEM))
    count_log()


def sign_in(user: User) -> Client:
    """Return the browser of an administrator who has just entered the password."""
    client = Client()
    client.force_login(user)
    session = client.session
    session["signed_in_at"] = clock.now().timestamp()  # accounts.recent
    session.save()
    return client


def staff(*permissions: str) -> User:
    """Return an administrator with these permissions ("agents.view_agent") who is not a superuser."""
    user = User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user
