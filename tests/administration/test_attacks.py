"""What administrators with too few rights, and others, might try: forged requests, foreign ids, redirects."""

from urllib.parse import quote

from django.contrib import admin
from django.db.models import Model
from django.test import Client

from accounts.models import User
from agents.models import Agent
from audit.models import Entry
from tests.administration.test_edits import page_url
from tests.administration.test_pages import form_url, list_url, name_of
from tests.administration.test_roles import OPERATIONS, REASON, SAFETY, member, row_of
from tests.administration.world import World, sign_in
from tests.constants import PASSWORD
from tests.shared import cases
from tokens.models import SigningKey

STOP = {"confirmed": "yes", "reason": REASON}
LONG = "x" * 10_000
AWAY = ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]


def test_a_member_without_a_role_reads_and_does_nothing(world: World) -> None:
    browser = sign_in(User.objects.create_user("new@staff.example", PASSWORD, is_staff=True))
    for model in admin.site._registry:
        row = row_of(model, world)
        assert browser.get(list_url(model)).status_code == browser.get(form_url(row)).status_code == 403, model
        for path in (list_url(model), page_url(model, "edit", row.pk)):
            assert browser.post(path, STOP).status_code in (400, 403), path
    assert "found-" not in browser.get("/admin/search/", {"q": world.ada.email}).content.decode()


def test_a_forged_request_is_refused(world: World) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = sign_in(world.administrator).cookies
    for path in (page_url(Agent, "act", world.agent.pk, "stop"), list_url(Agent), "/admin/emergency-stop/"):
        sent = {**STOP, "act": "stop", "action": "stop", "_selected_action": world.agent.pk, "select_across": "1"}
        assert browser.post(path, sent).status_code == 403, path
    assert not Agent.objects.exclude(stopped_at=None).exists()


@cases("model", admin.site._registry, ids=name_of)
def test_ids_of_other_kinds_and_long_texts_find_nothing(model: type[Model], site: Client, world: World) -> None:
    foreign = world.agent.pk if model is User else world.ada.pk
    malformed = ("log_x", LONG, quote("../../x", safe="")) if model in (User, Agent) else ()
    for pk in (foreign, *malformed):
        assert site.get(f"{list_url(model)}{pk}/change/").status_code == 404, pk
        for page in ("edit", "act/stop", "proof", "history", "delete") if malformed else ("edit", "act/stop"):
            assert site.post(f"{list_url(model)}{pk}/{page}/", STOP).status_code in (302, 403, 404), (page, pk)
    answer = site.get(list_url(model), {"q": LONG})
    assert list(answer.context["cl"].result_list) == []


@cases("target", AWAY)
def test_no_page_leads_away_after_the_password(target: str, world: World) -> None:
    for start in ("/admin/login/", "/accounts/reauthenticate/"):
        browser = sign_in(world.administrator) if "reauthenticate" in start else Client()
        answer = browser.get(start, {"next": target})
        page = answer["Location"] if answer.status_code == 302 else f"{start}?next={quote(target)}"
        answer = browser.post(page, {"login": world.administrator.email, "password": PASSWORD})
        assert answer.status_code == 302
        assert answer["Location"].startswith("/")
        assert "evil" not in answer["Location"].partition("?")[0]
        assert not answer["Location"].startswith(("//", "/\\"))


def test_rights_end_at_once(world: World) -> None:
    """A superuser who is demoted, and a member who loses the role, while they are signed in."""
    second = User.objects.create_superuser("second@example.com", PASSWORD)
    clerk = member(SAFETY)
    browsers = sign_in(second), sign_in(clerk)
    stop, emergency = page_url(Agent, "act", world.agent.pk, "stop"), "/admin/emergency-stop/"
    assert [browsers[0].get(emergency).status_code, browsers[1].get(stop).status_code] == [200, 200]

    User.objects.filter(pk=second.pk).update(is_superuser=False)
    clerk.groups.clear()

    assert browsers[0].post(emergency, {"act": "stop", "reason": REASON}).status_code == 403
    assert browsers[1].post(stop, STOP).status_code == 403
    User.objects.filter(pk=clerk.pk).update(is_staff=False)
    assert browsers[1].get("/admin/", follow=True).status_code == 403
    assert not Agent.objects.exclude(stopped_at=None).exists()


def test_what_is_forbidden_or_missing_is_said_in_the_frame_of_the_site(world: World) -> None:
    browser = sign_in(member(OPERATIONS))
    for path, words in (
        (list_url(Agent), "Your roles do not permit this."),
        ("/admin/x/", "This page or row does not exist."),
    ):
        html = browser.get(path).content.decode()
        assert words in html
        assert list_url(SigningKey) in html
    stop = page_url(User, "act", world.administrator.pk, "deactivate")
    assert "Only a superuser may act on a superuser" in sign_in(member(SAFETY)).post(stop, STOP).content.decode()


@cases("path", ["autocomplete/", "jsi18n/", "r/1/1/"])
def test_pages_of_djangos_that_nothing_needs_do_not_exist(path: str, site: Client) -> None:
    assert site.get(f"/admin/{path}").status_code == 404


def test_the_log_cannot_be_searched_by_what_is_encrypted(site: Client, world: World) -> None:
    assert site.get(list_url(Entry), {"personal__icontains": "203"}).status_code == 400
