"""Resource servers and their own scopes: each change is logged by its actor, or does not happen."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from core.actor import SYSTEM
from core.errors import DomainError, Invalid, NotFound
from core.secrets import digest
from decisions.requests import Credential, VerifyRequest
from decisions.services import decide
from developers.acting import as_developer
from developers.models import Developer
from resources import services
from resources.audiences import audience_for_identifier
from resources.custom_scopes import ScopeDefinition
from resources.errors import IdentifierTaken, ScopePrefixTaken
from resources.models import CustomScope, ResourceServer, ResourceServerSecret, ScopePrefix
from resources.services import (
    MAX_SECRETS,
    RegisteredResourceServer,
    change_scope,
    define_scope,
    delete_resource_server,
    register_resource_server,
    rotate_resource_server_secret,
    update_resource_server,
)
from tests.constants import NOON
from tests.log import log_entries
from tests.shared import cases
from tests.threads import race
from tests.world import ANONYMOUS, make_developer

TICKETS = "https://tickets.example/api"

pytestmark = pytest.mark.django_db


@pytest.fixture
def rival() -> Developer:
    return make_developer("rival@example.com", "Rival")


@pytest.fixture
def registered(developer: Developer) -> RegisteredResourceServer:
    return register(developer)


def own(scope_id: str, title: str = "Read your tickets") -> ScopeDefinition:
    return ScopeDefinition(scope_id, "low", title, "See your tickets", "close them")


def register(developer: Developer, identifier: str = TICKETS, *scopes: str | ScopeDefinition) -> Any:
    return register_resource_server(
        actor=as_developer(ANONYMOUS, developer),
        organization=developer.organization,
        name="Tickets",
        identifier=identifier,
        scopes=scopes or ["email:read", own("tickets:read")],
    )


def update(server: ResourceServer, **changes: Any) -> ResourceServer:
    actor = as_developer(ANONYMOUS, Developer.objects.get(organization=server.organization))
    return update_resource_server(actor=actor, server=server, **changes)


def rotate(server: ResourceServer, overlap_seconds: int = 0) -> str:
    actor = as_developer(ANONYMOUS, Developer.objects.get(organization=server.organization))
    return rotate_resource_server_secret(actor=actor, server=server, overlap_seconds=overlap_seconds).value


def delete(server: ResourceServer) -> None:
    actor = as_developer(ANONYMOUS, Developer.objects.get(organization=server.organization))
    delete_resource_server(actor=actor, server=server)


def works(server: ResourceServer, secret: str) -> bool:
    credential = Credential(server.id, digest(secret))
    request = VerifyRequest(token="unknown", required_scopes=(), actor=ANONYMOUS, credential=credential)
    (decision,) = decide([request])
    return not decision.is_caller_refused


def contents() -> list[Any]:
    models = (ResourceServer, ResourceServerSecret, CustomScope, ScopePrefix)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_an_identifier_is_stored_and_found_in_its_canonical_form(developer: Developer) -> None:
    server = register(developer, "HTTPS://Tickets.Example:443/api").server
    assert server.identifier == TICKETS
    audience = audience_for_identifier("https://TICKETS.example/api")
    assert audience is not None
    assert audience.server == server


@cases(
    ("identifier", "scopes", "error"),
    [
        ("https://Tickets.example/api", ["email:read"], IdentifierTaken),
        ("https://other.example", [own("other:read"), own("tickets:write")], ScopePrefixTaken),
        ("https://other.example", [own("other:read"), "tickets:read"], DomainError),
        ("https://other.example", [own("email:mine")], DomainError),
        ("https://other.example", [], DomainError),
    ],
)
def test_a_refused_registration_leaves_nothing_behind(
    registered: RegisteredResourceServer,
    rival: Developer,
    identifier: str,
    scopes: list[str | ScopeDefinition],
    error: type[DomainError],
) -> None:
    before = contents()
    with pytest.raises(error):
        register_resource_server(
            actor=ANONYMOUS, organization=rival.organization, name="Other", identifier=identifier, scopes=scopes
        )
    assert contents() == before


def test_an_update_keeps_what_it_leaves_out(registered: RegisteredResourceServer) -> None:
    renamed = update(registered.server, name="Desk")
    assert (renamed.name, renamed.scopes) == ("Desk", ["email:read", "tickets:read"])
    changed = update(registered.server, scopes=["email:send"])
    assert (changed.name, changed.scopes, changed.identifier) == ("Desk", ["email:send"], TICKETS)
    logged = log_entries(event="resource_server.updated").order_by("id")
    assert [entry.content["metadata"]["changed"] for entry in logged] == [["name"], ["scopes"]]


def test_an_organization_can_reword_its_own_scope(registered: RegisteredResourceServer) -> None:
    update(registered.server, scopes=[own("tickets:read", "Read all tickets")])
    assert CustomScope.objects.get().title == "Read all tickets"


def test_a_deleted_resource_server_is_not_an_audience_but_its_scopes_remain(
    registered: RegisteredResourceServer,
) -> None:
    server = ResourceServer.objects.get()
    delete(server)
    assert audience_for_identifier(TICKETS) is None
    assert not works(server, registered.secret)
    assert CustomScope.objects.get().id == "tickets:read"


def test_an_old_secret_works_until_the_overlap_ends(registered: RegisteredResourceServer) -> None:
    server = registered.server
    with time_machine.travel(NOON, tick=False) as clock:
        new = rotate(server, 60)
        clock.move_to(NOON + timedelta(seconds=60) - timedelta(microseconds=1))
        assert (works(server, registered.secret), works(server, new)) == (True, True)
        clock.move_to(NOON + timedelta(seconds=60))
        assert (works(server, registered.secret), works(server, new)) == (False, True)


def test_rotations_pass_the_limit_of_live_secrets_only_without_an_overlap(
    registered: RegisteredResourceServer,
) -> None:
    server = registered.server
    for _number in range(MAX_SECRETS - 1):
        rotate(server, overlap_seconds=3600)
    with pytest.raises(Invalid, match="At most 10 can work at once"):
        rotate(server, overlap_seconds=3600)
    assert server.secrets.count() == MAX_SECRETS
    assert rotate(server)


def test_a_secret_works_only_for_its_own_resource_server(
    registered: RegisteredResourceServer, developer: Developer
) -> None:
    other = register(developer, "https://other.example", "email:read")
    assert works(other.server, other.secret)
    assert not works(registered.server, other.secret)
    assert registered.secret not in repr(registered)


CHANGES: dict[str, Callable[[ResourceServer], object]] = {
    "resource_server.created": lambda server: register(
        Developer.objects.get(), "https://other.example", own("other:read")
    ),
    "resource_server.updated": lambda server: update(server, name="Desk", scopes=[own("tickets:write")]),
    "resource_server.secret_rotated": rotate,
    "resource_server.deleted": delete,
}


@cases("event", CHANGES)
def test_a_change_is_in_the_organizations_log_with_its_actor(
    registered: RegisteredResourceServer, developer: Developer, event: str
) -> None:
    CHANGES[event](ResourceServer.objects.get())
    entry = log_entries(event=event).first()
    assert entry is not None
    assert entry.content["actor"] == {"kind": "developer", "id": developer.id}
    assert entry.organization_ids == [developer.organization_id]


@cases("event", CHANGES)
def test_a_change_that_cannot_be_logged_does_not_happen(
    registered: RegisteredResourceServer, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError

    server, before = ResourceServer.objects.get(), contents()
    monkeypatch.setattr(services, "record", fail)
    with pytest.raises(ZeroDivisionError):
        CHANGES[event](server)
    assert contents() == before


@pytest.mark.django_db(transaction=True)
def test_of_several_rotations_at_once_one_secret_works(registered: RegisteredResourceServer) -> None:
    for _ in range(3):
        secrets = race([partial(rotate, registered.server)] * 4)
        assert sum(works(registered.server, secret) for secret in secrets) == 1


@pytest.mark.django_db(transaction=True)
def test_two_organizations_that_register_at_once_do_not_share_an_identifier_or_a_prefix(
    developer: Developer, rival: Developer
) -> None:
    for number in range(1, 6):
        same = [f"https://{number}.example", own(f"prefix-{number}:read")]
        outcomes = race([partial(register, one, *same) for one in (developer, rival)])
        refused = [outcome for outcome in outcomes if isinstance(outcome, (IdentifierTaken, ScopePrefixTaken))]
        assert len(refused) == 1
        assert ResourceServer.objects.count() == ScopePrefix.objects.count() == number


@pytest.mark.django_db(transaction=True)
def test_two_organizations_that_claim_prefixes_in_opposite_orders_do_not_deadlock(
    developer: Developer, rival: Developer
) -> None:
    for number in range(5):
        scopes = [own(f"first-{number}:read"), own(f"second-{number}:read")]
        claims = [
            partial(register, developer, f"https://a{number}.example", *scopes),
            partial(register, rival, f"https://b{number}.example", *reversed(scopes)),
        ]
        assert sum(isinstance(outcome, ScopePrefixTaken) for outcome in race(claims)) == 1


@pytest.mark.django_db(transaction=True)
def test_scopes_that_are_defined_at_once_are_all_offered(
    registered: RegisteredResourceServer, developer: Developer
) -> None:
    actor, server = as_developer(ANONYMOUS, developer), registered.server
    names = [f"tickets:{number}" for number in ("a", "b", "c", "d")]
    race([partial(define_scope, actor=actor, server=server, scope=own(name)) for name in names])
    server.refresh_from_db()
    assert set(server.scopes) == {"email:read", "tickets:read", *names}


@pytest.mark.django_db(transaction=True)
def test_of_several_definitions_of_a_scope_at_once_one_counts(
    registered: RegisteredResourceServer, developer: Developer
) -> None:
    actor, server = as_developer(ANONYMOUS, developer), registered.server
    titles = ["One", "Two", "Three", "Four"]
    outcomes = race(
        [partial(define_scope, actor=actor, server=server, scope=own("tickets:new", title)) for title in titles]
    )
    (winner,) = [title for title, outcome in zip(titles, outcomes, strict=True) if isinstance(outcome, ResourceServer)]
    assert CustomScope.objects.get(id="tickets:new").title == winner


def test_a_deleted_resource_server_cannot_be_changed(
    registered: RegisteredResourceServer, developer: Developer
) -> None:
    server = ResourceServer.objects.get(pk=registered.server.pk)
    delete_resource_server(actor=as_developer(ANONYMOUS, developer), server=server)
    server.pk = registered.server.id
    with pytest.raises(NotFound):
        rotate(server)
    with pytest.raises(NotFound):
        define_scope(actor=SYSTEM, server=server, scope=own("tickets:new"))


def test_a_scope_that_the_organization_did_not_define_cannot_be_changed(developer: Developer, rival: Developer) -> None:
    server = register(developer, TICKETS, own("tickets:read"), "email:read").server
    register(rival, "https://rival.example", own("rival:read"))
    for scope_id in ("tickets:close", "email:read", "rival:read"):
        with pytest.raises(NotFound):
            change_scope(actor=as_developer(ANONYMOUS, developer), server=server, scope=own(scope_id, "Changed"))
    assert not CustomScope.objects.filter(title="Changed").exists()
