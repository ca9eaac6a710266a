"""Reserve, commit and void amounts through the API."""

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
import time_machine

from accounts.erasure import erase_user
from accounts.models import User
from audit.sequencing.sequencer import sequence
from core import clock
from core.actor import SYSTEM
from limits.models import Reservation
from limits.tasks import sweep_reservations
from tests.api.conftest import Api, Json, expect, problem
from tests.log import log_entries

EUR_10 = {"value": "10.00", "currency": "EUR"}
BUDGET = {"maxAmount": "25.00", "currency": "EUR", "windowSeconds": 3600, "scope": "per_user"}
KEY = {"Idempotency_Key": "purchase-1"}


def basic(developer: Api, identifier: str) -> Api:
    """Return the API as a new resource server."""
    body = {"name": "Shop", "identifier": identifier, "scopes": ["email:read"]}
    server = expect(201, developer.post("/resource-servers", body))
    sent = b64encode(f"{server['id']}:{server['secret']}".encode()).decode()
    return Api(Authorization=f"Basic {sent}")


@pytest.fixture(scope="module")
def shop(developer: Api) -> Api:
    return basic(developer, "https://shop.example")


@pytest.fixture(scope="module", autouse=True)
def _budget(developer: Api) -> None:
    set_budget(developer)


def set_budget(developer: Api) -> None:
    rules = [{"type": "spend_limit", "config": BUDGET}]
    expect(201, developer.post("/policies", {"name": "Budget", "rules": rules}))


@pytest.fixture
def reserve(tokens: Json, shop: Api) -> Callable[..., Json]:
    def reserve(amount: Any = EUR_10, api: Api = shop, headers: dict[str, str] | None = None, **fields: Any) -> Json:
        body = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "reserve": True, **fields}
        return expect(200, api.post("/tokens/verify", {**body, "context": {"amount": amount}}, **(headers or {})))

    return reserve


def commit(api: Api, reservation: Json, amount: Any = None, **headers: str) -> Any:
    body = {} if amount is None else {"amount": amount}
    return api.post(f"/tokens/reservations/{reservation['reservationId']}/commit", body, **headers)


def void(api: Api, reservation: Json, **headers: str) -> Any:
    return api.post(f"/tokens/reservations/{reservation['reservationId']}/void", **headers)


def eur(value: str) -> Json:
    return {"value": value, "currency": "EUR"}


def test_an_allowed_request_reserves_for_ten_minutes_by_default(reserve: Callable[..., Json], shop: Api) -> None:
    with time_machine.travel(clock.now(), tick=False):
        reserved, short = reserve(), reserve(expiresInSeconds=1)
        ends = clock.rfc3339(clock.now() + timedelta(minutes=10))
        assert reserved["allowed"]
        assert reserved["reservationExpiresAt"] == ends
        assert short["reservationExpiresAt"] == clock.rfc3339(clock.now() + timedelta(seconds=1))
        assert expect(200, commit(shop, reserved)) == {
            "id": reserved["reservationId"],
            "status": "committed",
            "amount": "10.00",
            "finalAmount": "10.00",
            "currency": "EUR",
            "expiresAt": ends,
            "resolvedAt": clock.rfc3339(clock.now()),
        }


def test_a_denied_request_reserves_nothing(reserve: Callable[..., Json]) -> None:
    denied = reserve(eur("25.01"))
    assert not denied["allowed"]
    assert denied["policy"]["ruleType"] == "spend_limit"
    assert not {"reservationId", "reservationExpiresAt", "retryAfterSeconds"} & denied.keys()
    assert not Reservation.objects.exists()


def test_a_commit_of_less_releases_the_rest(reserve: Callable[..., Json], shop: Api) -> None:
    first, second = reserve(), reserve()
    assert not reserve()["allowed"]
    assert expect(200, commit(shop, first, eur("2.5")))["finalAmount"] == "2.5"
    voided = expect(200, void(shop, second))
    assert (voided["status"], voided["finalAmount"]) == ("voided", None)
    assert reserve(eur("22.50"))["allowed"]
    assert not reserve(eur("0.01"))["allowed"]


def test_the_same_again_gets_the_same_answer(reserve: Callable[..., Json], shop: Api) -> None:
    first, second = reserve(), reserve()
    once = expect(200, commit(shop, first, eur("2.5")))
    assert expect(200, commit(shop, first, eur("2.50"))) == once
    problem(commit(shop, first, eur("2.51")), 409, "reservation_resolved")
    problem(commit(shop, first), 409, "reservation_resolved")
    problem(void(shop, first), 409, "reservation_resolved")
    voided = expect(200, void(shop, second))
    assert expect(200, void(shop, second)) == voided
    problem(commit(shop, second), 409, "reservation_resolved")
    assert log_entries(event__startswith="reservation.").count() == 2


def test_a_repeated_commit_with_a_key_gets_the_stored_answer(reserve: Callable[..., Json], shop: Api) -> None:
    reserved = reserve()
    once = expect(200, commit(shop, reserved, eur("1"), **KEY))
    assert expect(200, commit(shop, reserved, eur("1"), **KEY)) == once
    problem(commit(shop, reserved, eur("2"), **KEY), 409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("amount", "fields"),
    [
        (eur("10.01"), ["amount.value"]),
        (eur("-1"), ["amount.value"]),
        (eur("1e1"), ["amount.value"]),
        ({"value": 2.5, "currency": "EUR"}, ["amount.value"]),
        ({"value": "1", "currency": "USD"}, ["amount.currency"]),
        ({"value": "1", "currency": "eur"}, ["amount.currency"]),
        ({"value": "1", "currency": ["EUR"]}, ["amount.currency"]),
        ({"value": "1"}, ["amount.currency"]),
        ("1", ["amount"]),
        ({"value": "1", "currency": "EUR", "payee": "x"}, ["amount.payee"]),
    ],
)
def test_a_commit_names_what_is_wrong_and_changes_nothing(
    reserve: Callable[..., Json], shop: Api, amount: Any, fields: list[str]
) -> None:
    reserved = reserve()
    problem(commit(shop, reserved, amount), 400, "validation_failed", *fields)
    assert not reserve(eur("15.01"))["allowed"]
    assert expect(200, commit(shop, reserved, eur("0")))["finalAmount"] == "0"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reserve": True}, "context.amount"),
        ({"reserve": True, "context": {"amount": None}}, "context.amount"),
        ({"reserve": True, "context": {"amount": {"value": 1.5, "currency": "EUR"}}}, "context.amount"),
        ({"reserve": True, "context": {"amount": eur("-1")}}, "context.amount"),
        ({"expiresInSeconds": 60}, "expiresInSeconds"),
        ({"reserve": False, "expiresInSeconds": 60}, "expiresInSeconds"),
        ({"reserve": True, "expiresInSeconds": 0, "context": {"amount": EUR_10}}, "expiresInSeconds"),
        ({"reserve": True, "expiresInSeconds": 3601, "context": {"amount": EUR_10}}, "expiresInSeconds"),
        ({"reserve": True, "expiresInSeconds": "60", "context": {"amount": EUR_10}}, "expiresInSeconds"),
        ({"reserve": "yes", "context": {"amount": EUR_10}}, "reserve"),
    ],
)
@pytest.mark.parametrize("is_batch", [False, True])
def test_an_impossible_reservation_names_its_field(tokens: Json, body: Json, field: str, is_batch: bool) -> None:
    asked = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], **body}
    if is_batch:
        answer = Api().post("/tokens/verify/batch", {"requests": [asked]})
        problem(answer, 400, "validation_failed", f"requests.0.{field}")
    else:
        problem(Api().post("/tokens/verify", asked), 400, "validation_failed", field)
    assert not Reservation.objects.exists()


def test_a_batch_reserves_too(tokens: Json, shop: Api) -> None:
    asked = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "context": {"amount": EUR_10}}
    requests = [{**asked, "reserve": True}, asked, {**asked, "reserve": True}]
    first, again = (
        expect(200, shop.post("/tokens/verify/batch", {"requests": requests}, **KEY))["decisions"] for _ in range(2)
    )
    assert [each["allowed"] for each in first] == [True, True, False]
    assert ["reservationId" in each for each in first] == [True, False, False]
    # Only what is reserved is not counted again.
    assert [each["allowed"] for each in again] == [True, False, False]
    assert again[0] == first[0]
    assert Reservation.objects.count() == 1


def test_a_repeated_request_with_a_key_reserves_once(reserve: Callable[..., Json], anonymous: Api, shop: Api) -> None:
    first = reserve(headers=KEY)
    assert reserve(headers=KEY) == first
    assert Reservation.objects.count() == 1
    assert reserve(api=anonymous, headers=KEY) != first
    assert Reservation.objects.count() == 2


def test_a_key_does_not_replace_the_credential(tokens: Json, reserve: Callable[..., Json], shop: Api) -> None:
    reserve(headers=KEY)
    wrong = Api(Authorization="Basic " + b64encode(b"res_x:rs_wrong").decode())
    body = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "reserve": True}
    answer = wrong.post("/tokens/verify", {**body, "context": {"amount": EUR_10}}, **KEY)
    problem(answer, 401, "not_authenticated")
    assert Reservation.objects.count() == 1


def test_wrong_credentials_with_a_key_are_throttled(tokens: Json, settings: Any) -> None:
    settings.THROTTLE_CLIENT_AUTH = "2/minute"
    wrong = Api(Authorization="Basic " + b64encode(b"res_x:rs_wrong").decode())
    body = {"token": tokens["accessToken"], "requiredScopes": ["email:read"], "reserve": True}
    answers = [wrong.post("/tokens/verify", {**body, "context": {"amount": EUR_10}}, **KEY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]


def test_only_the_server_that_reserved_can_resolve(
    reserve: Callable[..., Json], shop: Api, developer: Api, rival: Api, anonymous: Api
) -> None:
    reserved = reserve()
    for other in (basic(developer, "https://other.example"), basic(rival, "https://rival.example"), anonymous):
        problem(commit(other, reserved), 404, "not_found")
        problem(void(other, reserved), 404, "not_found")
    wrong = Api(Authorization="Basic " + b64encode(b"res_x:rs_wrong").decode())
    problem(commit(wrong, reserved), 401, "not_authenticated")
    problem(commit(Api(Authorization="Bearer st_x"), reserved), 401, "not_authenticated")
    expect(200, commit(shop, reserved))
    problem(commit(wrong, reserved), 401, "not_authenticated")
    problem(commit(anonymous, reserved), 404, "not_found")


def test_a_reservation_of_an_anonymous_caller_belongs_to_those_who_know_its_id(
    reserve: Callable[..., Json], anonymous: Api, shop: Api
) -> None:
    reserved = reserve(api=anonymous)
    expect(200, commit(anonymous, reserved, eur("1")))
    expect(200, commit(shop, reserved, eur("1")))


def test_no_reader_of_the_log_can_resolve_an_anonymous_callers_reservation(
    reserve: Callable[..., Json], anonymous: Api, developer: Api
) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        committed, voided, lapsed = (reserve(eur("1"), api=anonymous) for _ in range(3))
        for name in named_in_log(developer, "token.verify"):
            problem(commit(anonymous, {"reservationId": name}), 404, "not_found")
            problem(void(anonymous, {"reservationId": name}), 404, "not_found")
        expect(200, commit(anonymous, committed))
        expect(200, void(anonymous, voided))
        traveller.shift(timedelta(minutes=11))
        sweep_reservations()
    ends = [named_in_log(developer, f"reservation.{end}") for end in ("lapsed", "voided", "committed")]
    assert list(chain(*ends)) == named_in_log(developer, "token.verify")
    assert not {one["reservationId"] for one in (committed, voided, lapsed)} & set(chain(*ends))


def test_the_log_has_the_id_of_a_resource_servers_reservation(reserve: Callable[..., Json], developer: Api) -> None:
    reserved = reserve()
    assert named_in_log(developer, "token.verify") == [reserved["reservationId"]]


def named_in_log(developer: Api, event: str) -> list[str]:
    """Return the reservations that the organization's entries name, newest first."""
    sequence()
    entries = expect(200, developer.get(f"/audit?event={event}"))["items"]
    return [entry["metadata"]["reservationId"] for entry in entries]


def test_anonymous_callers_are_throttled_or_refused(
    reserve: Callable[..., Json], anonymous: Api, shop: Api, settings: Any
) -> None:
    reserved = {"reservationId": "rsv_unknown"}
    settings.THROTTLE_VERIFY = "2/minute"
    assert [commit(anonymous, reserved).status_code for _ in range(3)] == [404, 404, 429]
    settings.VERIFY_REQUIRES_CREDENTIAL = True
    problem(commit(anonymous, reserved), 401, "not_authenticated")
    problem(commit(shop, reserved), 404, "not_found")


def test_a_reservation_that_has_lapsed_is_gone(reserve: Callable[..., Json], shop: Api) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        reserved, resolved = reserve(expiresInSeconds=60), reserve(expiresInSeconds=60)
        traveller.shift(59.999999)
        answer = expect(200, commit(shop, resolved))
        traveller.shift(0.000001)
        for _ in range(2):
            problem(commit(shop, reserved), 410, "reservation_expired")
            problem(void(shop, reserved), 410, "reservation_expired")
            assert expect(200, commit(shop, resolved)) == answer
            sweep_reservations()
        assert Reservation.objects.get(pk=reserved["reservationId"]).status == "lapsed"
        assert log_entries(event="reservation.lapsed").count() == 1


def test_old_reservations_are_deleted(reserve: Callable[..., Json], shop: Api) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        reserved = reserve()
        reserve()
        expect(200, commit(shop, reserved))
        traveller.shift(timedelta(days=7) - timedelta(seconds=1))
        assert sweep_reservations() == 1
        expect(200, commit(shop, reserved))
        traveller.shift(1)
        assert sweep_reservations() == 1
        problem(commit(shop, reserved), 404, "not_found")
        assert Reservation.objects.count() == 1


def test_a_revoked_connection_or_a_stopped_agent_can_still_be_charged(
    reserve: Callable[..., Json], shop: Api, ada: Any, tokens: Json
) -> None:
    """The service may have acted before it learned of that, and must be able to say so."""
    reserved = reserve()
    expect(200, ada.post(f"/users/me/consents/{tokens['consentId']}/revoke"))
    assert expect(200, commit(shop, reserved))["status"] == "committed"


def test_an_erased_users_reservations_name_no_one(reserve: Callable[..., Json], shop: Api, ada: Any) -> None:
    held, done = reserve(), reserve()
    expect(200, commit(shop, done))
    erase_user(actor=SYSTEM, user=User.objects.get(pk=ada.id))
    row = Reservation.objects.get()
    assert (row.id, row.user_id, row.consent_id) == (held["reservationId"], None, None)
    problem(commit(shop, done), 404, "not_found")
    expect(200, commit(shop, held))
    (entry,) = log_entries(event="reservation.committed", user_id=None)
    assert entry.agent_id == row.agent_id
    assert log_entries(event="reservation.committed").count() == 2
