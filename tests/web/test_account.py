"""API sessions on the account page, and allauth's pages in our frame."""

import pytest

from accounts.services import open_session
from tests.mails import link_in
from tests.web.world import PASSWORD, as_user


def test_lists_sessions_without_their_tokens(as_ada, ada):
    opened = open_session(actor=as_user(ada), user=ada)
    text = as_ada.get("/account").content.decode()
    assert "tests/1.0" in text
    assert opened.session.id in text
    assert opened.token not in text


def test_ending_a_session_deletes_it(as_ada, ada):
    opened = open_session(actor=as_user(ada), user=ada)
    response = as_ada.post(f"/account/sessions/{opened.session.id}/end")
    assert (response.status_code, response["Location"]) == (303, "/account")
    assert not ada.session_tokens.exists()


def test_nobody_else_can_end_it(as_bob, ada):
    opened = open_session(actor=as_user(ada), user=ada)
    theirs = as_bob.post(f"/account/sessions/{opened.session.id}/end")
    none = as_bob.post("/account/sessions/ses_0000/end")
    assert theirs.status_code == none.status_code == 404
    assert theirs.content == none.content
    assert ada.session_tokens.exists()


def test_looking_at_the_address_ends_nothing(as_ada, ada):
    opened = open_session(actor=as_user(ada), user=ada)
    assert as_ada.get(f"/account/sessions/{opened.session.id}/end")["Location"] == "/account"
    assert as_ada.put(f"/account/sessions/{opened.session.id}/end").status_code == 405
    assert ada.session_tokens.exists()


@pytest.mark.parametrize("path", ["login", "signup", "password/reset"])
def test_entrance_pages_have_no_script(client, db, path):
    response = client.get(f"/accounts/{path}/")
    assert response.status_code == 200
    assert b"<script" not in response.content
    assert b'href="/static/css/tokens.css"' in response.content


@pytest.mark.parametrize("path", ["email", "password/change", "logout"])
def test_account_pages_have_no_script(as_ada, path):
    response = as_ada.get(f"/accounts/{path}/")
    assert response.status_code == 200
    assert b"<script" not in response.content


def test_sign_in_comes_back_to_the_consent(client, ada, ask):
    url = f"/consent/{ask().id}"
    response = client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD, "next": url})
    assert (response.status_code, response["Location"]) == (302, url)


def test_sign_in_goes_nowhere_else(client, ada):
    form = {"login": ada.email, "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/accounts/login/", form)["Location"] == "/dashboard"


def test_a_wrong_password_is_said_in_the_error_summary(client, ada):
    response = client.post("/accounts/login/", {"login": ada.email, "password": "wrong"})
    assert b'id="errors" tabindex="-1" autofocus' in response.content


def test_a_forgotten_password_is_replaced_through_the_link_in_a_mail(client, ada, mails):
    client.post("/accounts/password/reset/", {"email": ada.email})
    mail = mails[0]
    assert "Choose a new password" in mail.subject
    page = client.get(link_in(mail), follow=True)
    assert b"<script" not in page.content
    address = page.request["PATH_INFO"]
    assert client.post(address, {"password1": "short", "password2": "short"}).status_code == 200
    form = {"password1": "another-passphrase-9", "password2": "another-passphrase-9"}
    done = client.post(address, form, follow=True)
    assert "You can now sign in with your new password" in done.content.decode()
    ada.refresh_from_db()
    assert ada.check_password("another-passphrase-9")
