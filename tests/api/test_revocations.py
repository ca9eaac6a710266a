"""What a resource server learns of what ended, and who is refused."""

from base64 import b64encode

import orjson
import pytest

from agents.emergency import lift_emergency_stop, stop_everything
from consent.services import revoke_consent
from core import clock
from core.actor import SYSTEM
from core.messages import MAY_PARK, PARK, REVOCATIONS, Mark
from core.rotation import add_secret
from developers.services import suspend_organization
from developers.stopping import delete_organization, stop_organization
from resources.models import ResourceServer
from tests.api.conftest import Api
from tests.world import Grant, as_owner, as_user, make_developer, make_grant, make_resource_server, mean_for
from tokens.models import AccessToken, TokenFamily

pytestmark = pytest.mark.django_db
PATH = "/revocations"


@pytest.fixture
def server() -> ResourceServer:
    return make_resource_server(make_developer("books@example.com", "Books"), "https://books.example").server


@pytest.fixture
def service(server: ResourceServer) -> Api:
    return service_of(server)


@pytest.fixture
def grant(server: ResourceServer) -> Grant:
    grant = make_grant()
    for rows in (TokenFamily.objects.all(), AccessToken.objects.all()):
        mean_for(rows, server)
    return grant


def service_of(server: ResourceServer) -> Api:
    secret = add_secret(server.secrets, prefix="rs", now=clock.now())
    return Api(Authorization=f"Basic {b64encode(f'{server.id}:{secret}'.encode()).decode()}")


def revoke(grant: Grant) -> None:
    revoke_consent(actor=as_user(grant.user), consent=grant.consent)


def test_it_has_what_ended_and_where_to_continue(service: Api, grant: Grant) -> None:
    first = service.get(PATH).json()
    assert (first["items"], first["more"]) == ([], False)
    revoke(grant)
    answer = service.get(f"{PATH}?after={first['next']}")
    (item,) = answer.json()["items"]
    assert {**item, "at": None} == {"kind": "consent", "consentId": grant.consent.id, "at": None}
    assert answer.headers["Cache-Control"] == "no-store"


def test_others_are_refused(service: Api, grant: Grant, server: ResourceServer) -> None:
    wrong = Api(Authorization=f"Basic {b64encode(f'{server.id}:rs_wrong'.encode()).decode()}")
    for caller in (Api(), wrong, Api(X_Api_Key="ag_" + "0" * 40)):
        refused = caller.get(PATH)
        assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
        assert refused.headers["WWW-Authenticate"].startswith("Basic")


def test_a_stop_of_everything_is_told_until_it_is_lifted(service: Api, grant: Grant) -> None:
    stop_everything(actor=SYSTEM, reason="x")
    refused = service.get(PATH)
    assert (refused.status_code, refused.json()["code"]) == (503, "everything_stopped")
    lift_emergency_stop(actor=SYSTEM, reason="x")
    assert service.get(PATH).json()["items"] == []


def test_a_suspended_organization_gets_no_answer_and_one_that_stopped_its_agents_does(
    service: Api, server: ResourceServer
) -> None:
    stop_organization(actor=as_owner(server.organization), organization=server.organization, reason="x")
    assert service.get(PATH).status_code == 200
    delete_organization(actor=as_owner(server.organization), organization=server.organization)
    refused = service.get(PATH)
    assert (refused.status_code, refused.json()["code"]) == (403, "service_suspended")
    suspend_organization(actor=SYSTEM, organization=server.organization, reason="x")
    refused = service.get(PATH)
    assert (refused.status_code, refused.json()["code"]) == (403, "organization_suspended")


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=9223372036854775808", "wait=31", "wait=-1", "limit=1"])
def test_malformed_queries_are_refused(service: Api, query: str) -> None:
    assert service.get(f"{PATH}?{query}").status_code == 400


def test_it_waits_only_while_there_is_nothing(service: Api, grant: Grant) -> None:
    def park(query: str) -> Mark | None:
        response = service.client.get(f"/api/v1{PATH}{query}", headers=service.headers, **{MAY_PARK: True})
        return Mark.decode(response.headers[PARK]) if PARK in response.headers else None

    waiting = park("?wait=9")
    assert waiting is not None
    assert (waiting.kind, waiting.seconds) == (REVOCATIONS, 9)
    after = service.get(PATH).json()["next"]
    assert orjson.loads(waiting.about)["after"] == after - 1
    assert park("") is None
    revoke(grant)
    assert park("?wait=9") is None
