"""After a form is submitted without a session, signing in leads to a page and never to a 405."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from allauth.account.adapter import get_adapter
from allauth.core.context import request_context
from django.test import Client, RequestFactory
from django.urls import URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter

from tests.shared import cases


def pages() -> list[str]:
    """Return the path of every page, with well-formed ids and numbers."""
    from web.portal import urls as portal
    from web.urls import urlpatterns

    of_users = [reverse(f"web:{page.name}", kwargs=well_formed(page.pattern.converters)) for page in urlpatterns]
    of_portal = {
        page.name: {"organization_id": "org_0", **well_formed(page.pattern.converters)} for page in portal.urlpatterns
    }
    return of_users + [reverse(f"portal:{name}", kwargs=given) for name, given in of_portal.items()]


def well_formed(converters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: 0 if isinstance(one, IntConverter) else "xyz_0000" for name, one in converters.items()}


def sign_in_from(login_url: str, email: str, password: str) -> Any:
    """Sign in at the URL to which a request was redirected, and follow all redirects."""
    browser = Client()
    form = {"login": email, "password": password, "next": login_url.partition("next=")[2]}
    return browser.post("/accounts/login/", form, follow=True)


def test_every_page_with_a_form_leads_to_a_page_after_signing_in(as_ada: Any, as_developer: Any) -> None:
    answers = {path: Client().post(path) for path in pages()}
    asked = {path: answer["Location"] for path, answer in answers.items() if "login" in answer.get("Location", "")}

    assert "/account/sessions/xyz_0000/end" in asked
    for place, (path, login_url) in enumerate(asked.items()):
        following = unquote(login_url.partition("next=")[2])
        assert is_followed(following), path
        answer = (as_ada, as_developer)[place % 2].get(following, follow=True)
        assert answer.status_code in (200, 403, 404), f"{path}: {answer.status_code} at {answer.request['PATH_INFO']}"


def is_followed(path: str) -> bool:
    """Return whether a sign-in redirects there."""
    with request_context(RequestFactory().get("/", headers={"host": "localhost:8000"})):
        return bool(get_adapter().is_safe_url(path))


@cases("action", ["edit", "credentials", "suspend", "reactivate", "delete"])
def test_an_action_on_an_agent_leads_to_the_agent_after_signing_in(
    developer: Any, agent: Any, world: Any, action: str
) -> None:
    path = f"/developer/{agent.organization_id}/agents/{agent.id}"
    refused = Client().post(f"{path}/{action}")
    answer = sign_in_from(refused["Location"], developer.user.email, world.PASSWORD)

    assert answer.status_code == 200
    assert answer.request["PATH_INFO"].startswith(path)
    agent.refresh_from_db()
    assert agent.status == "active"


def test_ending_a_session_leads_to_the_sessions_after_signing_in(ada: Any, world: Any) -> None:
    refused = Client().post("/account/sessions/ses_0000/end")
    answer = sign_in_from(refused["Location"], ada.email, world.PASSWORD)

    assert (answer.status_code, answer.request["PATH_INFO"]) == (200, "/account/sessions")


def test_revoking_leads_to_the_confirmation_after_signing_in(ada: Any, granted: Any, world: Any) -> None:
    path = f"/connections/{granted.id}/revoke"
    answer = sign_in_from(Client().post(path)["Location"], ada.email, world.PASSWORD)

    assert (answer.status_code, answer.request["PATH_INFO"]) == (200, path)
    granted.refresh_from_db()
    assert granted.status == "approved"


def every_path(patterns: Any, prefix: str = "/") -> Iterator[str]:
    """Yield the path of every URL of the site, with "1" in place of ids."""
    for one in patterns:
        path = prefix + re.sub(r"<[^>]*>|\(\?P.*?\)", "1", str(one.pattern)).strip("^$")
        if isinstance(one, URLResolver):
            yield from every_path(one.url_patterns, path)
        else:
            yield path


def test_no_url_ends_in_a_405_after_signing_in(ada: Any, world: Any, settings: Any) -> None:
    type(ada).objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    paths = [path for path in every_path(get_resolver().url_patterns) if "(" not in path]
    administrator, stranger = Client(), Client()
    administrator.force_login(ada)
    browsers = {path: administrator if path.startswith("/admin/") else stranger for path in paths}
    posted_only = [path for path, browser in browsers.items() if browser.get(path).status_code == 405]

    assert {"/admin/logout/", "/oauth/token", "/oauth/par", "/api/v1/tokens/verify"} <= set(posted_only)
    assert [path for path in posted_only if is_followed(f"{path}?x=1")] == []
    form = {"login": ada.email, "password": world.PASSWORD, "next": f"{posted_only[0]}?x=1"}
    assert Client().post("/accounts/login/", form)["Location"] == settings.LOGIN_REDIRECT_URL
    answer = sign_in_from(f"?next={posted_only[0]}", ada.email, world.PASSWORD)
    assert (answer.status_code, answer.request["PATH_INFO"]) == (200, "/connections")


@cases("path", ["/admin/", "/oauth/authorize", "/account", "/api/docs"])
def test_signing_in_leads_to_any_page_of_the_site(ada: Any, world: Any, path: str) -> None:
    form = {"login": ada.email, "password": world.PASSWORD, "next": path}
    assert Client().post("/accounts/login/", form)["Location"] == path
