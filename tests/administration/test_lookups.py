"""The URL of a list page can neither reveal a secret, letter by letter, nor cause a server error."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from agents.models import Agent
from audit.models import Entry
from tests.administration.test_pages import SECRET_FIELDS, list_url, name_of
from tests.administration.world import World, sign_in, staff
from tests.shared import cases

REGISTERED = list(admin.site._registry)
HIDDEN = SECRET_FIELDS | {"auth_hash", "browser_digest", "code_challenge", "jwks", "body", "data"}
LOOKUPS = ["", "__startswith", "__isnull"]
MALFORMED_QUERIES = [
    "o=999",
    "o=x.-.1",
    "p=-1",
    "p=99999999999999999999",
    "p=x",
    "all=",
    "all=x&p=1",
    "e=1",
    "e=1&p=-1",
    "q=%00",
    "q=" + "x" * 5000,
    "id__exact=%00",
    "id__exact=" + "9" * 400,
    "%00=1",
    "pk=x",
    "_to_field=password",
    "_to_field=digest",
    "_to_field=%00",
    "_popup=x",
    "_popup=1&_to_field=id",
    "_facets=x",
    "_changelist_filters=%00",
    "_changelist_filters=a%3Db%26%26",
    "nothing__exact=1",
    "__exact=1",
    "__=1",
    "id__exact__exact__exact=1",
]
WRONG_QUERIES = ["p=-1", "p=x", "o=999", "o=x.-.1", "id__exact=%00", "q=%00", "_to_field=password", "nothing__exact=1"]
MALFORMED_VALUES = ["garbage", "%00", "", "9" * 30, "2026-13-45", "%F0%9F"]
# All lists and forms take their queries and ids through the same code. With these, all malformed ones are tried.
EXAMPLES = (Agent, Entry)
MALFORMED_IDS = ["_00", "%00", "9" * 300, "x", "_", "_5F_00", "None", "..", "%20", "%F0%9F%98%80", "-1", "0"]


def secret_paths(model: type[Model], hops: int = 2) -> Iterator[str]:
    """Yield the lookups of every secret column of the model and of related models."""
    for field in model._meta.get_fields():
        if field.name in HIDDEN and not field.is_relation:
            yield field.name
        elif field.is_relation and field.related_model and hops:
            related: Any = field.related_model
            yield from (f"{field.name}__{path}" for path in secret_paths(related, hops - 1))


def actions_of(model: type[Model]) -> list[str]:
    return [getattr(action, "__name__", action) for action in admin.site._registry[model].actions or ()]


def fine(status: int) -> bool:
    """Return whether the status is a page, a redirect or a client error, not a server error."""
    return status in (200, 302, 400, 403, 404)


@cases("model", REGISTERED, ids=name_of)
def test_lists_cannot_be_filtered_by_secret_columns(model: type[Model], site: Client, world: World) -> None:
    paths = sorted(secret_paths(model))
    assert model is not User or {"password", "session_tokens__digest", "developers__api_keys__digest"} <= {*paths}
    request = RequestFactory().get(list_url(model))
    request.user = world.administrator

    for path in paths:
        for lookup in ("", "__startswith"):
            assert not admin.site._registry[model].lookup_allowed(f"{path}{lookup}", "a", request), path
    for path in paths[:2]:
        assert site.get(list_url(model), {f"{path}__startswith": "a"}).status_code == 400, path


@cases(
    ("path", "prefix"),
    [
        ("accounts_user", "password"),
        ("developers_developer", "user__password"),
        ("agents_agent", "secrets__digest"),
        ("account_emailaddress", "user__password"),
        ("tokens_signingkey", "private_sealed"),
        ("consent_consent", "user__password"),
        ("auth_group", "user__password"),
    ],
)
def test_staff_cannot_guess_a_hash(path: str, prefix: str, world: World) -> None:
    app, model = path.split("_")
    browser = sign_in(world.administrator if app == "auth" else staff(f"{app}.view_{model}"))
    url = reverse(f"admin:{path}_changelist")

    assert browser.get(url).status_code == 200
    for lookup in LOOKUPS:
        assert browser.get(url, {f"{prefix}{lookup}": "argon2"}).status_code == 400, lookup


@cases("model", REGISTERED, ids=name_of)
def test_the_filters_of_a_list_work(model: type[Model], site: Client, world: World) -> None:
    page = site.get(list_url(model))
    for spec in page.context["cl"].filter_specs:
        first, *_, last = spec.choices(page.context["cl"])
        for choice in (first, last):
            assert site.get(list_url(model) + choice["query_string"]).status_code == 200


def test_the_links_between_lists_work(site: Client, world: World) -> None:
    html = site.get(reverse("admin:agents_agent_change", args=[world.agent.pk])).content.decode()
    links = [part.split('"')[0].replace("&amp;", "&") for part in html.split('href="')[1:] if "__id__exact" in part]

    assert len(links) >= 2
    for link in links:
        assert site.get(link).status_code == 200


@cases("model", REGISTERED, ids=name_of)
def test_a_malformed_query_of_a_list_is_not_a_server_error(model: type[Model], site: Client, world: World) -> None:
    site.raise_request_exception = False
    model_admin = admin.site._registry[model]
    is_example = model in EXAMPLES
    queries, wrong = (MALFORMED_QUERIES, WRONG_QUERIES) if is_example else (WRONG_QUERIES[-1:],) * 2
    lookups = ("", "__gte") if is_example else ("",)
    values = MALFORMED_VALUES if is_example else MALFORMED_VALUES[:1]
    for spec in model_admin.list_filter:
        name = spec if isinstance(spec, str) else spec.parameter_name if isinstance(spec, type) else spec[0]
        queries = [*queries, *(f"{name}{lookup}={value}" for lookup in lookups for value in values)]

    answers = {query: site.get(f"{list_url(model)}?{query}").status_code for query in queries}

    assert {query: status for query, status in answers.items() if not fine(status)} == {}
    refused = {query: answers[query] for query in wrong}
    assert set(refused.values()) == {400}, refused


@cases("model", REGISTERED, ids=name_of)
def test_a_malformed_id_is_not_a_server_error(model: type[Model], site: Client, world: World) -> None:
    site.raise_request_exception = False
    ids, pages = (MALFORMED_IDS, ("change/", "history/", "delete/", "")) if model is Agent else (("_00",), ("change/",))
    paths = [f"{one}/{page}" for one in ids for page in pages]
    answers = {path: site.get(f"{list_url(model)}{path}").status_code for path in paths}

    assert {path: status for path, status in answers.items() if not fine(status)} == {}


@cases(
    "path",
    [
        "/admin/%00/",
        "/admin/nothing/",
        "/admin/accounts/%00",
        "/admin/r/x/y/",
        "/admin/r/999999999999999999999/x/",
        "/admin/r/1/%00/",
        "/admin/autocomplete/",
        "/admin/autocomplete/?app_label=accounts&model_name=user&field_name=password&term=a",
        "/admin/autocomplete/?app_label=%00&model_name=x&field_name=y",
        "/admin/password_change/done/",
    ],
)
def test_other_urls_of_the_site_cause_no_server_error(path: str, site: Client, world: World) -> None:
    site.raise_request_exception = False

    assert fine(site.get(path).status_code)


@cases(
    "sent",
    [
        {"action": "stop", "index": "x"},
        {"action": "stop", "index": "99"},
        {"action": "stop", "index": "-99"},
        {"action": "nothing", "index": "0"},
        {"action": "stop", "index": "0", "select_across": "x"},
        {"action": "stop", "_selected_action": "\0"},
        {"action": "stop", "confirmed": "yes", "reason": "\0"},
    ],
)
def test_a_malformed_action_does_nothing_and_is_not_a_server_error(
    sent: dict[str, str], site: Client, world: World
) -> None:
    site.raise_request_exception = False

    answer = site.post(list_url(Agent), {"_selected_action": world.agent.pk, **sent})

    assert answer.status_code in (200, 302, 400)
    assert not Agent.objects.get(pk=world.agent.pk).is_stopped


@cases("chosen", ["x", "9" * 40, "-1", "1.5", "\u0663", " ", "%00"])
def test_a_malformed_selection_is_not_a_server_error(chosen: str, site: Client) -> None:
    for model in REGISTERED if chosen == "x" else (Agent,):
        for action in ("delete_selected", *actions_of(model)):
            data = {"action": action, "_selected_action": chosen, "confirmed": "yes", "post": "yes", "reason": "Test."}
            assert site.post(list_url(model), data).status_code in (200, 302, 400, 403)
