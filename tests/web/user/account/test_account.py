"""API sessions on their page, and allauth's pages in our layout."""

from accounts.services import open_session
from tests.log import log_entries
from tests.mails import link_in
from tests.shared import cases
from tests.web.markup import inline_code, main_of
from tests.world import PASSWORD, as_user


def test_lists_sessions_without_their_tokens(as_ada, ada):
    opened = open_session(actor=as_user(ada), user=ada)
    text = as_ada.get("/account/sessions").content.decode()
    assert '<bdi class="named">tests</bdi>' in text
    assert opened.session.id in text
    assert opened.token not in text


def test_ending_a_session_deletes_it(as_ada, ada):
    opened = open_session(actor=as_user(ada), user=ada)
    response = as_ada.post(f"/account/sessions/{opened.session.id}/end")
    assert (response.status_code, response["Location"]) == (303, "/account/sessions")
    assert not ada.session_tokens.exists()


def test_another_user_cannot_end_a_session(as_bob, ada):
    opened = open_session(actor=as_user(ada), user=ada)
    theirs = as_bob.post(f"/account/sessions/{opened.session.id}/end")
    none = as_bob.post("/account/sessions/ses_0000/end")
    assert theirs.status_code == none.status_code == 404
    assert main_of(theirs.content.decode()) == main_of(none.content.decode())
    assert ada.session_tokens.exists()


def test_only_a_post_ends_a_session(as_ada, ada):
    opened = open_session(actor=as_user(ada), user=ada)
    assert as_ada.get(f"/account/sessions/{opened.session.id}/end")["Location"] == "/account/sessions"
    assert as_ada.put(f"/account/sessions/{opened.session.id}/end").status_code == 405
    assert ada.session_tokens.exists()


@cases("path", ["login", "signup", "password/reset"])
def test_entrance_pages_have_no_inline_code(client, db, path):
    response = client.get(f"/accounts/{path}/")
    assert response.status_code == 200
    assert inline_code(response.content) == []
    assert b'href="/static/css/tokens.css"' in response.content


@cases("path", ["email", "password/change", "logout"])
def test_account_pages_have_no_inline_code(as_ada, path):
    response = as_ada.get(f"/accounts/{path}/")
    assert response.status_code == 200
    assert inline_code(response.content) == []


def test_signing_in_returns_to_the_consent_page(client, ada, ask):
    url = f"/consent/{ask().id}"
    response = client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD, "next": url})
    assert (response.status_code, response["Location"]) == (302, url)


def test_signing_in_does_not_redirect_to_other_sites(client, ada):
    form = {"login": ada.email, "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/accounts/login/", form)["Location"] == "/dashboard"


def test_a_wrong_password_is_in_the_error_summary(client, ada):
    response = client.post("/accounts/login/", {"login": ada.email, "password": "wrong"})
    assert b'id="errors" tabindex="-1" autofocus' in response.content


def change(client, old, new="another-passphrase-9", again=None, **headers):
    form = {"oldpassword": old, "password1": new, "password2": new if again is None else again}
    return client.post("/accounts/password/change/", form, headers=headers)


def test_guesses_of_the_current_password_are_throttled_and_logged(as_ada, ada, settings):
    settings.THROTTLE_SIGN_IN = "3/minute"
    texts = [change(as_ada, f"wrong-{number}").content.decode() for number in range(4)]
    assert ["This is not your current password." in text for text in texts] == [True, True, True, False]
    assert "Too many attempts" in texts[3]
    assert log_entries(event="user.sign_in_failed", user_id=ada.id).count() == 3
    assert "Too many attempts" in change(as_ada, PASSWORD).content.decode()


def test_allauth_does_not_throttle_password_changes(as_ada, ada):
    for number in range(12):
        answer = change(
            as_ada, PASSWORD if number == 0 else f"passphrase-number-{number}", f"passphrase-number-{number + 1}"
        )
        assert answer.status_code == 302
    assert as_ada.get("/account").status_code == 200


@cases("headers", [{"X-Requested-With": "XMLHttpRequest"}, {"Accept": "application/json"}])
def test_requests_from_scripts_get_the_page_without_the_password(as_ada, client, headers):
    secret = "what-was-typed-77"
    answers = [
        change(as_ada, secret, **headers),
        client.post("/accounts/login/", {"login": "ada@example.com", "password": secret}, headers=headers),
        as_ada.post("/accounts/reauthenticate/", {"password": secret}, headers=headers),
    ]
    for answer in answers:
        assert answer["Content-Type"].startswith("text/html")
        assert secret not in answer.content.decode()


def test_two_different_new_passwords_are_an_error(as_ada):
    text = change(as_ada, PASSWORD, again="another-passphrase-8").content.decode()
    assert "You must type the same password each time." not in text
    assert "The two passwords do not match." in text


def test_a_forgotten_password_is_replaced_through_the_link_in_a_mail(client, ada, mails):
    client.post("/accounts/password/reset/", {"email": ada.email})
    mail = mails[0]
    assert "Reset your password" in mail.subject
    page = client.get(link_in(mail), follow=True)
    assert inline_code(page.content) == []
    address = page.request["PATH_INFO"]
    assert client.post(address, {"password1": "short", "password2": "short"}).status_code == 200
    differ = client.post(address, {"password1": "another-passphrase-9", "password2": "another-passphrase-8"})
    assert "The two passwords do not match." in differ.content.decode()
    form = {"password1": "another-passphrase-9", "password2": "another-passphrase-9"}
    done = client.post(address, form, follow=True)
    assert "You can now sign in with your new password" in done.content.decode()
    ada.refresh_from_db()
    assert ada.check_password("another-passphrase-9")
