"""A resolver and a web server of our own, for what asks those of the internet."""

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import dns.message
import dns.nameserver
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from core import fetching
from developers import proofs as client

HOST = "acme.com"

type Answer = Callable[[bytes], list[bytes]]


class Resolver:
    """Answers each datagram with the packets that `udp` returns, and each connection with the bytes of `tcp`."""

    def __init__(self, udp: Answer, tcp: Callable[[bytes], bytes] | None = None) -> None:
        self.udp, self.tcp, self.asked = udp, tcp, []

    def start(self, stack: ExitStack) -> tuple[str, int]:
        datagrams, listener = _bind_both()
        for channel, answer in ((datagrams, self._answer_datagrams), (listener, self._answer_connections)):
            Thread(target=answer, args=(channel,), daemon=True).start()
            stack.callback(_close, channel)
        address: tuple[str, int] = datagrams.getsockname()
        return address

    def _answer_datagrams(self, channel: socket.socket) -> None:
        while True:
            try:
                packet, sender = channel.recvfrom(4096)
            except OSError:
                return
            if not packet:  # it was shut down
                return
            self.asked.append((packet, sender))
            for answer in self.udp(packet):
                channel.sendto(answer, sender)

    def _answer_connections(self, listener: socket.socket) -> None:
        while True:
            try:
                channel, _ = listener.accept()
            except OSError:
                return
            with channel:
                packet = channel.recv(4096)[2:]
                if self.tcp:
                    channel.sendall(self.tcp(packet))


def _close(channel: socket.socket) -> None:
    """Close a socket, and end the thread that waits for it, which would otherwise keep its port open."""
    with suppress(OSError):  # a socket for datagrams is not connected; its thread wakes up nevertheless
        channel.shutdown(socket.SHUT_RDWR)
    channel.close()


def _bind_both() -> tuple[socket.socket, socket.socket]:
    """Return a socket for datagrams and one for connections at the same port, which is free for both."""
    while True:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        try:
            return datagrams, socket.create_server(datagrams.getsockname())
        except OSError:
            datagrams.close()


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Resolver]]:
    """Return a function that starts a resolver, after those that it has started before."""
    asking = dns.resolver.Resolver(configure=False)
    asking.timeout, asking.lifetime = 0.5, 2.0
    servers: list[dns.nameserver.Nameserver] = []
    monkeypatch.setattr(client, "system_resolver", lambda: asking)
    with ExitStack() as stack:

        def start(*args: Any) -> Resolver:
            resolver = Resolver(*args)
            servers.append(dns.nameserver.Do53Nameserver(*resolver.start(stack)))
            asking.nameservers = servers
            return resolver

        yield start


def answer_to(packet: bytes, *lines: str, flags: int = 0, code: int = 0) -> bytes:
    """Return an answer to the question with records in the format of zone files."""
    answer = dns.message.make_response(dns.message.from_wire(packet))
    answer.flags |= flags
    answer.set_rcode(dns.rcode.Rcode(code))
    for line in lines:
        name, kind, data = line.split(None, 2)
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, data))
    return answer.to_wire(max_size=65_535)


def with_lines(*lines: str, **fields: int) -> Answer:
    return lambda packet: [answer_to(packet, *lines, **fields)]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate of the host and its key."""
    path = tmp_path_factory.mktemp("tls") / "acme.pem"
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *names]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> Iterator[Callable[..., list[str]]]:
    """Return a function that starts the host's web server, and returns the list of paths that it is asked for."""
    servers = []

    def start(answer: Callable[[BaseHTTPRequestHandler], object]) -> list[str]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(f"{self.headers['Host']}{self.path}")
                answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        monkeypatch.setattr(fetching, "PORT", server.server_port)
        return asked

    monkeypatch.setattr(fetching, "is_public", lambda address: True)
    monkeypatch.setattr(fetching, "tls_context", lambda: ssl.create_default_context(cafile=str(certificate)))
    resolve_to(monkeypatch, "127.0.0.1")
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let the host have these addresses. Return the list of hosts that are looked up."""
    looked_up = []

    def look_up(host: str) -> list[str]:
        looked_up.append(host)
        return list(addresses)

    monkeypatch.setattr(fetching, "look_up", look_up)
    return looked_up


def send(handler: BaseHTTPRequestHandler, body: bytes = b"proof", status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
