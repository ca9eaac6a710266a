"""Files in request bodies. `tests/server/front` covers what the front refuses before Django sees it."""

from urllib.parse import urlencode

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

FORM = "application/x-www-form-urlencoded"


def test_an_uploaded_file_is_refused(db: None) -> None:
    upload = {"email": "ada@example.com", "password": "x", "picture": SimpleUploadedFile("a.png", b"x" * 10)}

    browser = Client(enforce_csrf_checks=True)
    browser.get("/accounts/login/")

    assert Client().post("/accounts/login/", upload).status_code == 400
    assert browser.post("/accounts/login/", upload).status_code == 400


def test_a_multipart_form_without_files_is_accepted(db: None) -> None:
    answer = Client().post("/accounts/login/", {"login": "ada@example.com", "password": "x"})

    assert answer.status_code == 200
    assert b"ada@example.com" in answer.content


def test_a_long_multipart_form_is_refused(db: None) -> None:
    """The headers of its parts would be read for a second, also by a page that needs no sign-in."""
    form = {"login": "ada@example.com", "password": "x" * 65_000}

    assert Client().post("/accounts/login/", form).status_code == 200
    assert Client().post("/accounts/login/", {**form, "more": "x" * 1000}).status_code == 400
    assert Client().post("/accounts/login/", urlencode({**form, "more": "x" * 1000}), FORM).status_code == 200
