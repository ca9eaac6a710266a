"""A token for a service whose identifier passed to another organization is useless for that one, at every door."""

import pytest

from consent.granting import approve_consent
from developers.acting import as_developer
from developers.models import Developer
from resources.models import ReservedIdentifier
from resources.services import RegisteredResourceServer, delete_resource_server
from tests.server.hot.both import Both
from tests.server.hot.requests import Scene, basic, batch, forward, introspect, question, verify
from tests.world import ANONYMOUS, as_user, ask, make_developer, make_resource_server, make_user
from tokens.exchange import exchange_code
from tokens.issuing import IssuedTokens

pytestmark = pytest.mark.on_sqlite

IDENTIFIER = "https://foreign.example"


@pytest.fixture
def token(scene: Scene) -> str:
    """A token for the foreign service, which has been deleted since."""
    eve, agent = make_user("eve@example.com"), scene.grant.agent
    granted = approve_consent(actor=as_user(eve), consent=ask(agent, resource=[IDENTIFIER]), user=eve)
    issued = exchange_code(actor=ANONYMOUS, agent=agent, code=granted.code)
    assert isinstance(issued, IssuedTokens)
    rival = Developer.objects.get(organization=scene.foreign.server.organization)
    delete_resource_server(actor=as_developer(ANONYMOUS, rival), server=scene.foreign.server)
    return issued.access_token


@pytest.fixture
def newcomer(token: str) -> RegisteredResourceServer:
    """Another organization's resource server with the identifier, which is no longer reserved."""
    ReservedIdentifier.objects.all().delete()
    return make_resource_server(make_developer("newcomer@example.com", "Newcomer"), IDENTIFIER)


def test_every_door_refuses_the_token_to_the_newcomer(
    both: Both, token: str, newcomer: RegisteredResourceServer
) -> None:
    caller = basic(newcomer)
    for sent in (verify(token, caller=caller), verify(token, resource=IDENTIFIER)):
        assert both.ask(sent).json["reason"] == "wrong_audience"
    (decision,) = both.ask(batch(question(token), caller=caller)).json["decisions"]
    assert decision["reason"] == "wrong_audience"
    assert both.ask(introspect(token, caller)).json == {"active": False}
    for forwarded in (forward(token, caller=caller), forward(token, f"?scopes=email:read&resource={IDENTIFIER}")):
        assert both.ask(forwarded).header("X-AgentGate-Reason") == "wrong_audience"


def test_the_same_organization_can_register_its_service_again(scene: Scene, both: Both, token: str) -> None:
    rival = Developer.objects.get(organization=scene.foreign.server.organization)
    again = make_resource_server(rival, IDENTIFIER)
    assert both.ask(verify(token, caller=basic(again))).json["allowed"] is True
