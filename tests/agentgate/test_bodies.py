"""Request bodies that are refused before a view reads them, and those that the application does not read."""

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client

from agentgate import draining
from agentgate.draining import DeclaredBody, IncompleteBody, drained

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PATHS = ("/", "/accounts/login/", "/admin/login/", "/api/v1/tokens/verify", "/oauth/token", "/nowhere", "/static/x")


def ask(method: str, path: str, **headers: str) -> HttpResponse:
    return Client().generic(method, path, headers=headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_a_body_without_a_length_is_refused(method: str, path: str, db: None) -> None:
    answer = ask(method, path, Transfer_Encoding="chunked")

    assert answer.status_code == 411
    assert answer["X-Request-Id"].startswith("req_")


def test_the_error_has_the_format_of_its_surface(db: None) -> None:
    problem = ask("POST", "/api/v1/consent/cns_1/approve", Transfer_Encoding="chunked")
    oauth = ask("POST", "/oauth/token", Transfer_Encoding="gzip, chunked")

    assert problem["Content-Type"] == "application/problem+json"
    assert problem.json()["code"] == "length_required"
    assert problem.json()["requestId"] == problem["X-Request-Id"]
    assert oauth.json()["error"] == "invalid_request"
    assert {problem["Cache-Control"], oauth["Cache-Control"]} == {"no-store"}


@pytest.mark.parametrize(
    ("length", "status"),
    [("2097153", 413), ("999999999999999", 413), ("9" * 30, 400), ("-1", 400), ("+1", 400), ("1.0", 400), ("²", 400)],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_malformed_or_excessive_length_is_refused(path: str, length: str, status: int, db: None) -> None:
    assert Client().generic("POST", path, CONTENT_LENGTH=length).status_code == status


@pytest.mark.parametrize("length", ["", "0"])
def test_a_request_without_a_body_is_accepted(length: str, db: None) -> None:
    assert Client().generic("GET", "/api/v1/scopes", CONTENT_LENGTH=length).status_code == 200


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


class TestDeclaredBody:
    def test_it_counts_unread_bytes(self) -> None:
        body = DeclaredBody(io.BytesIO(b"one\ntwo\nNEXT REQUEST"), 8)

        assert (body.readline(), body.unread) == (b"one\n", 4)
        assert (body.read(2), body.unread) == (b"tw", 2)
        assert (body.read(), body.unread) == (b"o\n", 0)
        assert (body.read(5), body.readline()) == (b"", b"")

    @pytest.mark.parametrize("size", [-1, 8])
    def test_a_body_that_ends_early_is_an_error(self, size: int) -> None:
        with pytest.raises(IncompleteBody):
            DeclaredBody(io.BytesIO(b"decision=allow"), 20).read(20 if size > 0 else size)

    def test_a_missing_line_is_an_error(self) -> None:
        with pytest.raises(IncompleteBody):
            DeclaredBody(io.BytesIO(b""), 20).readline()


class Connection(io.BytesIO):
    """A body that counts how much of it was read."""

    def read_behind(self, read: int, **environ: str) -> int:
        """Let an application read `read` bytes of this body. Return how many bytes were read in the end."""

        def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            environ["wsgi.input"].read(read)
            return [b"answer"]

        length = str(len(self.getbuffer()))
        assert drained(application)({"wsgi.input": self, "CONTENT_LENGTH": length, **environ}, None) == [b"answer"]
        return self.tell()


class TestDrained:
    def test_the_unread_rest_is_read(self) -> None:
        assert Connection(b"x" * 100_000).read_behind(10) == 100_000

    def test_a_chunked_body_is_read_up_to_the_limit(self) -> None:
        environ = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
        assert Connection(b"x" * 9_000_000).read_behind(0, **environ) == draining.MAX_DRAINED_BYTES

    def test_a_body_beyond_the_limit_is_not_read(self) -> None:
        assert Connection(b"x" * 9_000_000).read_behind(0) == 0

    def test_a_body_that_the_client_has_not_sent_yet_is_not_read(self) -> None:
        assert Connection(b"x" * 100).read_behind(0, HTTP_EXPECT="100-continue") == 0

    def test_stalled_clients_block_only_a_few_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(draining, "_drains", draining.BoundedSemaphore(1))
        with draining._drains:
            assert Connection(b"x" * 100).read_behind(0) == 0
        assert Connection(b"x" * 100).read_behind(0) == 100
