"""Real proxies, configured with exactly what `docs/forward-auth.md` says, but for addresses and the credential."""

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.live.oauth.services import running
from tests.live.server import ROOT
from tests.programs import find_program, skip_without
from tests.servers import free_port

PAGE = ROOT / "docs" / "forward-auth.md"
MODULES = Path("/usr/lib/nginx/modules")
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Setting:
    """What a documented configuration is told about its surroundings."""

    folder: Path
    gate: int
    service: int
    credential: str = "Basic cmVzX3Rlc3Q6cnNfdGVzdA=="
    port: int = field(default_factory=free_port)
    page: Path = PAGE

    def block(self, language: str, number: int = 0) -> str:
        """Return one of the page's blocks in this language with our addresses and folder for those of the page."""
        found = re.findall(rf"^```{language}\n(.*?)^```", self.page.read_text(), re.DOTALL | re.MULTILINE)
        assert found, f"{self.page.name} has no {language} block"
        places = {
            "127.0.0.1:9005": f"127.0.0.1:{self.port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.gate}",
            "127.0.0.1:9004": f"127.0.0.1:{self.service}",
            "/etc/haproxy/": f"{self.folder}/",
            "/var/www/html": f"{self.folder}/html",
            "Basic cmVzXy4uLjpyc18uLi4=": self.credential,
        }
        text = found[number]
        for written, ours in places.items():
            text = text.replace(written, ours)
        return text

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def nginx(self, servers: str) -> list[str]:
        """Return the command of an nginx with these server blocks and nothing else."""
        user = "user root;" if os.geteuid() == 0 else ""
        program = find_program("nginx-light", "nginx")
        headers_more = MODULES / "ngx_http_headers_more_filter_module.so"
        if not headers_more.exists():
            skip_without("libnginx-mod-http-headers-more-filter")
        module = f"load_module {headers_more};"
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{name}_temp_path {self.folder}/{name};" for name in names)
        head = f"{module} {user} pid {self.folder}/pid; error_log {self.folder}/error.log; events {{}}"
        config = self.write("nginx.conf", f"{head}\nhttp {{ access_log off; {temporary}\n{servers} }}\n")
        return [program, "-p", str(self.folder), "-c", config, "-g", "daemon off;"]


def nginx(setting: Setting) -> list[str]:
    return setting.nginx(setting.block("nginx"))


def nginx_with_files(setting: Setting) -> list[str]:
    folder = setting.folder / "html" / "mail"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("a page")
    return setting.nginx(setting.block("nginx") + setting.block("nginx", 1))


def caddy(setting: Setting) -> list[str]:
    config = setting.write("Caddyfile", f"{{\n    admin off\n}}\n{setting.block('caddyfile')}")
    return [find_program("caddy"), "run", "--config", config, "--adapter", "caddyfile"]


def haproxy(setting: Setting) -> list[str]:
    setting.write("agentgate.lua", setting.block("lua"))
    return [find_program("haproxy"), "-db", "-f", setting.write("haproxy.cfg", setting.block("haproxy"))]


PROXIES: dict[str, Callable[[Setting], list[str]]] = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}
COMMANDS = {**PROXIES, "nginx-with-files": nginx_with_files}


@contextmanager
def proxied(name: str, parent: Path, **places: int | str) -> Iterator[str]:
    """Run the proxy between `gate` and `service`; yield the address of a protected page."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    folder.chmod(0o755)
    setting = Setting(folder, **places)  # type: ignore[arg-type]
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    url = f"http://127.0.0.1:{setting.port}/"
    with running(COMMANDS[name](setting), home, url, folder / "log"):
        yield f"{url}mail/inbox"


@dataclass
class Request:
    """What a server received, header by header."""

    method: str
    path: str
    headers: Headers
    body: bytes

    def named(self, *parts: str) -> Headers:
        """Return the headers with one of the `parts` in their name, however it is spelled."""
        return [(name, value) for name, value in self.headers if any(part in name.lower() for part in parts)]


class Recorder(ThreadingHTTPServer):
    """A server that keeps what it receives and answers what it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.reset()

    def reset(self) -> None:
        """Forget what was received and what to answer."""
        self.seen: list[Request] = []
        self.answer: tuple[int, dict[str, str]] = (200, {})
        self.delay = 0.0


class _Answer(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        seen = Request(self.command, self.path, self.headers.items(), self.rfile.read(length))
        if seen.path != "/":  # asked by `running` alone, to see whether the proxy is up
            self.server.seen.append(seen)
        time.sleep(self.server.delay)
        status, headers = self.server.answer
        with suppress(ConnectionError):  # the proxy has given up
            self._send(status, headers)

    def do_POST(self) -> None:
        self.do_GET()

    def _send(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "5"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
