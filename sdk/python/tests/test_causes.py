"""Why AgentGate did not respond, over real sockets, blocking and asynchronous."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest
from fake_gate import NO_PAUSES
from tls import PrivateAuthority, listening

from agentgate_oauth import AgentGateAdmin, AsyncAgentGateAdmin, ConnectionFailedError
from agentgate_oauth._causes import cause_of

UNTRUSTED = "the server's certificate is not trusted (unable to get local issuer certificate)"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> PrivateAuthority:
    return PrivateAuthority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["blocking", "asynchronous"])
def failure(request: pytest.FixtureRequest):
    """Return a function that calls a URL, and returns the error."""

    def blocking(url: str) -> None:
        with AgentGateAdmin(url, "ag_key", timeout=0.3, retry=NO_PAUSES) as api:
            api.list_agents()

    async def asynchronous(url: str) -> None:
        async with AsyncAgentGateAdmin(url, "ag_key", timeout=0.3, retry=NO_PAUSES) as api:
            await api.list_agents()

    def call(url: str) -> ConnectionFailedError:
        with pytest.raises(ConnectionFailedError) as caught:
            blocking(url) if request.param == "blocking" else asyncio.run(asynchronous(url))
        return caught.value

    return call


def test_a_private_ca_is_trusted_with_ssl_cert_file_only(authority, failure, monkeypatch):
    with listening(authority.certificate()) as port:
        url = f"https://localhost:{port}"
        error = failure(url)
        assert error.cause == "certificate_not_trusted"
        assert str(error) == f"AgentGate did not respond at {url}: {UNTRUSTED}"
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        with AgentGateAdmin(url, "ag_key") as api:
            assert api.list_agents().items == ()


@pytest.mark.parametrize(
    ("certificate", "words"),
    [({"days": -1}, "certificate has expired"), ({"host": "other.example"}, "Hostname mismatch")],
    ids=["expired", "for another host"],
)
def test_a_certificate_that_no_ca_could_mend_is_distinguished(
    authority, failure, monkeypatch, certificate, words
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with listening(authority.certificate(**certificate)) as port:
        error = failure(f"https://localhost:{port}")
    assert error.cause == "certificate_not_valid" and words in str(error)


@pytest.fixture
def free_port() -> Iterator[int]:
    """Return a port that refuses connections: it is bound, and nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_refused_connection_is_named(failure, free_port):
    error = failure(f"http://127.0.0.1:{free_port}")
    assert error.cause == "connection_refused" and "the connection was refused" in str(error)


def test_an_unknown_host_is_named(failure):
    error = failure("https://gate.invalid")
    assert error.cause == "host_not_found" and "the host name was not found" in str(error)


def test_a_silent_server_is_a_timeout(failure):
    with listening(answer=None) as port:
        error = failure(f"http://127.0.0.1:{port}")
    assert error.cause == "timeout" and "no response came in time" in str(error)


def test_a_server_without_tls_is_named(failure):
    with listening() as port:
        error = failure(f"https://127.0.0.1:{port}")
    assert error.cause == "tls_failed" and "did not begin TLS" in str(error)


def test_a_connection_that_ends_is_not_a_response(failure):
    with listening(answer=b"") as port:
        assert failure(f"http://127.0.0.1:{port}").cause == "no_response"


def test_a_proxy_that_refuses_is_named():
    assert cause_of(httpx.ProxyError("407 Proxy Authentication Required")).code == "proxy_failed"


@pytest.mark.parametrize("content", [None, "not a certificate"], ids=["missing", "not a certificate"])
@pytest.mark.parametrize("connect", [AgentGateAdmin, AsyncAgentGateAdmin])
def test_certificates_that_cannot_be_read_name_their_variable(monkeypatch, tmp_path, content, connect):
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ValueError, match=f"^SSL_CERT_FILE names no certificates that can be read: {file}"):
        connect("https://gate.example", "ag_key")
