"""Registration, login and logout of developers and users."""

from accounts.models import User
from tests.api.conftest import PASSWORD, Api, expect, problem
from tests.shared import cases

DEVELOPER = {"name": "Acme AI", "email": "Dev@Acme.example", "password": PASSWORD}
PERSON = {"email": "eve@example.com", "password": PASSWORD, "name": "Ada"}
REGISTRATIONS = [("/developers/register", DEVELOPER), ("/users/register", PERSON)]


def test_a_developer_registers_with_an_organization_and_a_key(anonymous: Api) -> None:
    answer = anonymous.post("/developers/register", DEVELOPER)
    body = expect(201, answer)
    assert set(body) == {"id", "name", "email", "organizationId", "apiKey", "createdAt"}
    assert body["id"].startswith("dev_")
    assert body["organizationId"].startswith("org_")
    assert body["apiKey"].startswith("ag_")
    assert body["email"] == "dev@acme.example"
    assert body["createdAt"].endswith("Z")
    assert answer["Cache-Control"] == "no-store"


def test_a_user_registers(anonymous: Api) -> None:
    body = expect(201, anonymous.post("/users/register", PERSON))
    assert set(body) == {"id", "email", "name", "createdAt"}
    assert body["id"].startswith("usr_")


def test_a_users_name_is_optional(anonymous: Api) -> None:
    body = expect(201, anonymous.post("/users/register", {"email": "a@example.com", "password": PASSWORD}))
    assert body["name"] == ""


@cases(("path", "body"), REGISTRATIONS)
def test_a_taken_address_is_a_conflict(anonymous: Api, path: str, body: dict[str, str]) -> None:
    expect(201, anonymous.post(path, body))
    again = {**body, "email": body["email"].upper(), "password": "another-password-9"}
    problem(anonymous.post(path, again), 409, "email_taken")


def test_one_account_can_be_both_user_and_developer(anonymous: Api) -> None:
    expect(201, anonymous.post("/users/register", PERSON))
    expect(201, anonymous.post("/developers/register", {**DEVELOPER, "email": PERSON["email"]}))
    assert User.objects.count() == 1


def test_becoming_a_developer_requires_the_accounts_password(anonymous: Api) -> None:
    expect(201, anonymous.post("/users/register", PERSON))
    body = {**DEVELOPER, "email": PERSON["email"], "password": "another-password-9"}
    problem(anonymous.post("/developers/register", body), 409, "email_taken")


@cases(("path", "body"), REGISTRATIONS)
@cases("password", ["short", "password", "12345678901"])
def test_a_weak_password_is_reported(anonymous: Api, path: str, body: dict[str, str], password: str) -> None:
    answer = anonymous.post(path, {**body, "password": password})
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {"password"}


@cases(("path", "body"), REGISTRATIONS)
@cases("field", ["email", "password"])
def test_a_missing_field_is_reported(anonymous: Api, path: str, body: dict[str, str], field: str) -> None:
    rest = {name: value for name, value in body.items() if name != field}
    problem(anonymous.post(path, rest), 400, "validation_failed", field)


@cases(("path", "body"), REGISTRATIONS)
@cases(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", 7),
        ("email", "a\u0000@example.com"),
        ("email", "a" * 300 + "@example.com"),
        ("password", None),
        ("password", "x\u0000" + "y" * 20),
        ("password", "x" * 1001),
        ("name", "a\nb"),
        ("name", "\u202egnp.exe"),
        ("name", "x" * 201),
        ("name", ["x"]),
        ("isStaff", True),
        ("id", "usr_1"),
    ],
)
def test_an_invalid_field_is_reported(
    anonymous: Api, path: str, body: dict[str, str], field: str, value: object
) -> None:
    answer = anonymous.post(path, {**body, field: value})
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {field}


@cases(
    ("register", "body", "login"),
    [("/developers/register", DEVELOPER, "/developers/login"), ("/users/register", PERSON, "/users/login")],
)
def test_a_login_returns_a_session_token(anonymous: Api, register: str, body: dict[str, str], login: str) -> None:
    registered = expect(201, anonymous.post(register, body))
    answer = anonymous.post(login, {"email": body["email"], "password": PASSWORD})
    session = expect(200, answer)
    assert set(session) == {"id", "name", "email", "sessionToken", "expiresAt"}
    assert (session["id"], session["name"]) == (registered["id"], body["name"])
    assert session["sessionToken"].startswith("st_")
    assert answer["Cache-Control"] == "no-store"


@cases("login", ["/developers/login", "/users/login"])
def test_a_wrong_password_and_an_unknown_account_look_alike(anonymous: Api, login: str) -> None:
    expect(201, anonymous.post("/developers/register", DEVELOPER))
    wrong = problem(anonymous.post(login, {"email": DEVELOPER["email"], "password": "x"}), 401, "invalid_credentials")
    unknown = problem(anonymous.post(login, {"email": "no@one.example", "password": "x"}), 401, "invalid_credentials")
    assert {**wrong, "requestId": ""} == {**unknown, "requestId": ""}


def test_a_user_who_is_not_a_developer_cannot_log_in_as_one(anonymous: Api) -> None:
    expect(201, anonymous.post("/users/register", PERSON))
    body = {"email": PERSON["email"], "password": PASSWORD}
    problem(anonymous.post("/developers/login", body), 403, "forbidden")


def test_a_developers_session_replaces_the_api_key(anonymous: Api) -> None:
    expect(201, anonymous.post("/developers/register", DEVELOPER))
    session = expect(200, anonymous.post("/developers/login", {"email": DEVELOPER["email"], "password": PASSWORD}))
    assert expect(200, Api(Authorization=f"Bearer {session['sessionToken']}").get("/agents"))["items"] == []


@cases("path", ["/users/logout", "/developers/logout"])
def test_a_logout_ends_the_session_token(ada: Api, path: str) -> None:
    expect(204, ada.post(path))
    problem(ada.get("/users/me/consents"), 401, "not_authenticated")


def test_a_logout_requires_a_session_token(anonymous: Api, developer: Api) -> None:
    problem(anonymous.post("/users/logout"), 401, "not_authenticated")
    problem(developer.post("/developers/logout"), 403, "forbidden")


def test_the_old_key_stops_working_by_default(developer: Api) -> None:
    new = expect(200, developer.post("/developers/api-keys/rotate"))
    assert set(new) == {"apiKey", "expiresAt", "previousKeyExpiresAt"}
    assert new["expiresAt"] is None
    problem(developer.get("/agents"), 401, "not_authenticated")
    expect(200, Api(X_Api_Key=new["apiKey"]).get("/agents"))


def test_the_old_key_works_during_an_overlap(developer: Api) -> None:
    new = expect(200, developer.post("/developers/api-keys/rotate", {"overlapSeconds": 60}))
    expect(200, developer.get("/agents"))
    expect(200, Api(X_Api_Key=new["apiKey"]).get("/agents"))


@cases("overlap", [-1, 604_801, "60", 1.5, True, None])
def test_an_invalid_overlap_is_reported(developer: Api, overlap: object) -> None:
    body = {"overlapSeconds": overlap}
    problem(developer.post("/developers/api-keys/rotate", body), 400, "validation_failed", "overlapSeconds")


def test_registrations_are_throttled_by_address(anonymous: Api, settings: object) -> None:
    settings.THROTTLE_REGISTRATION = "2/hour"  # type: ignore[attr-defined]
    for number in range(2):
        expect(201, anonymous.post("/users/register", {**PERSON, "email": f"p{number}@example.com"}))
    answer = anonymous.post("/developers/register", DEVELOPER)
    problem(answer, 429, "throttled")
    assert int(answer["Retry-After"]) > 0


def test_failed_sign_ins_are_throttled(anonymous: Api, settings: object) -> None:
    settings.THROTTLE_SIGN_IN = "3/minute"  # type: ignore[attr-defined]
    expect(201, anonymous.post("/users/register", PERSON))
    wrong = {"email": PERSON["email"], "password": "wrong"}
    codes = [anonymous.post("/users/login", wrong).status_code for _ in range(4)]
    assert codes == [401, 401, 401, 429]
